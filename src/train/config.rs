//! `CONFIG.toml` of `weightsmith train`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{data::Augmentation, predictor::NetworkConfig};

use super::{PreparedGraph, TrainError};

/// A training run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Name of the predictor.
    pub name: String,
    /// Search space: a file, or the name of a built-in one; or a folder of graphs, see
    /// [`GraphFolder`](super::GraphFolder).
    pub space: String,
    /// Search spaces beside it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<Beside>,
    /// What a graph and a task may cost; without, every task has as many images, whatever its graph.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    /// Data set, by path relative to the working directory.
    pub data: PathBuf,
    /// Folder for checkpoints and metrics.
    pub out: PathBuf,
    /// Predictor whose values it starts from, a folder or the name of a bundled one; random values
    /// without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial: Option<String>,
    /// Seed of initialisation, graphs, images and their order.
    #[serde(default)]
    pub seed: u64,
    /// Graphs per optimiser step, beside those of episodes.
    #[serde(default = "eight")]
    pub meta_batch: usize,
    /// Images per graph.
    #[serde(default = "sixty_four")]
    pub batch: usize,
    /// Share of the classifying tasks that keep their predicted heads where others are solved on the learned labels
    /// of the calibration batch: a network that is too costly to run on it will keep its own, too.
    #[serde(default)]
    pub predicted_heads: f32,
    /// Distinct graphs drawn from the space; they recur in random order. Of a folder, all files or
    /// the first so many.
    #[serde(default = "sixteen_thousand")]
    pub graphs: usize,
    /// L2 penalty on predicted weights (GHN-3).
    #[serde(default = "weight_penalty")]
    pub weight_penalty: f32,
    /// Largest norm of one network's gradient with respect to its weights, so that a network that
    /// explodes does not drown the others of its step.
    #[serde(default = "network_clip")]
    pub network_clip: f32,
    /// Label smoothing of the task loss.
    #[serde(default)]
    pub label_smoothing: f32,
    /// What is done to training images, where a stage does not say.
    #[serde(default)]
    pub augmentation: AugmentationConfig,
    /// Sizes of the network.
    #[serde(default)]
    pub network: NetworkConfig,
    /// What a denoiser is trained for besides one pass.
    #[serde(default, skip_serializing_if = "is_default")]
    pub denoising: DenoisingConfig,
    /// What it learns for users with classes of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub episodes: Option<EpisodesConfig>,
    /// The optimiser.
    #[serde(default)]
    pub optimiser: OptimiserConfig,
    /// What is trained on, in order.
    pub stages: Vec<Stage>,
    /// Seconds between checkpoints.
    #[serde(default = "three_minutes")]
    pub checkpoint_seconds: u64,
    /// Steps between validations.
    #[serde(default = "five_hundred")]
    pub validate_every: u64,
    /// Steps between lines of training metrics, which are means over them.
    #[serde(default = "fifty")]
    pub log_every: u64,
}

/// What a predictor with `network.diffusion` is trained for besides one pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DenoisingConfig {
    /// Samples of every graph of a step, which are judged on the same images.
    pub members: usize,
    /// Share of the loss of the members' mean probability in theirs, from 0 (each for itself) to 1.
    pub together: f32,
    /// Share of the groups that start from noisy weights instead of full noise.
    pub refine: f32,
    /// Folder of a zoo whose checkpoints are to be recovered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zoo: Option<PathBuf>,
    /// Checkpoints per step.
    pub checkpoints: usize,
    /// Weight of recovering them beside the task loss.
    pub recovery: f32,
    /// Share of checkpoints whose quality is not told.
    pub quality_dropout: f32,
}

impl Default for DenoisingConfig {
    fn default() -> Self {
        Self {
            members: 1,
            together: 0.0,
            refine: 0.0,
            zoo: None,
            checkpoints: 0,
            recovery: 30.0,
            quality_dropout: 0.15,
        }
    }
}

fn is_default(config: &DenoisingConfig) -> bool {
    *config == DenoisingConfig::default()
}

/// A search space beside that of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Beside {
    /// As the run's own.
    pub space: String,
    /// Share of the tasks; the run's own space has what these leave.
    pub share: f32,
    /// Height and width of images; those of the stage without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<usize>,
}

/// What a graph and a task may cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Most parameters of a graph.
    pub parameters: usize,
    /// Most multiply-accumulates of a graph for one image.
    pub image: u64,
    /// Multiply-accumulates of one pass over the images of a task: costly graphs see fewer images.
    pub pass: u64,
}

impl Cost {
    /// Whether a graph costs no more.
    pub(super) fn admits(&self, graph: &PreparedGraph) -> bool {
        graph.parameters <= self.parameters && graph.multiply_accumulates <= self.image
    }

    /// How many images a task of a graph has, from `fewest` to `most`.
    pub(super) fn images(&self, graph: &PreparedGraph, most: usize, fewest: usize) -> usize {
        let affordable = self.pass / graph.multiply_accumulates.max(1);
        usize::try_from(affordable).unwrap_or(most).clamp(fewest.min(most), most)
    }
}

/// Episodes: a few classes of one of many data sets, a network whose head is solved on some of their images,
/// and the loss on the others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpisodesConfig {
    /// Episodes per optimiser step.
    pub per_step: usize,
    /// Most images of an episode.
    pub images: usize,
    /// Fewest and most classes of an episode.
    pub classes: [usize; 2],
    /// Share of the episodes whose graph reads grey images. Its space is the run's, with one channel.
    #[serde(default)]
    pub grey: f32,
    /// Share of the episodes whose images are all inverted, turned, mirrored or have their colours swapped,
    /// each by chance.
    #[serde(default)]
    pub changed: f32,
    /// The data sets.
    pub data: Vec<EpisodeData>,
}

/// A data set that episodes draw from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpisodeData {
    /// By path relative to the working directory.
    pub path: PathBuf,
    /// How often it is drawn, beside the others.
    #[serde(default = "one")]
    pub weight: f32,
    /// What is done to each of its images.
    #[serde(default)]
    pub augmentation: AugmentationConfig,
    /// Classes that are not drawn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
}

/// AdamW with warm-up, cosine decay to zero, clipping and an exponential moving average.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimiserConfig {
    /// Peak learning rate.
    pub learning_rate: f32,
    /// Decoupled weight decay of matrices.
    pub weight_decay: f32,
    /// Steps of linear warm-up.
    pub warmup: u64,
    /// Largest norm of the gradient.
    pub clip: f32,
    /// Decay of the moving average that is saved and validated.
    pub ema: f32,
    /// Factor on the learning rate of the calibration batch, whose values are pixels.
    pub calibration_rate: f32,
    /// Trains only the tensors whose names start so; all others stay as they are.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub only: String,
}

impl Default for OptimiserConfig {
    fn default() -> Self {
        Self {
            learning_rate: 2e-3,
            weight_decay: 1e-2,
            warmup: 100,
            clip: 5.0,
            ema: 0.998,
            calibration_rate: 5.0,
            only: String::new(),
        }
    }
}

/// What is done to training images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AugmentationConfig {
    /// Nothing.
    None,
    /// Mirror images.
    Mirror,
    /// Shifts, for images that must not be mirrored, such as digits.
    Shift,
    /// Shifts and mirror images.
    #[default]
    Standard,
}

impl From<AugmentationConfig> for Augmentation {
    fn from(config: AugmentationConfig) -> Self {
        match config {
            AugmentationConfig::None => Self::None,
            AugmentationConfig::Mirror => Self::Mirror,
            AugmentationConfig::Shift => Self::Shift,
            AugmentationConfig::Standard => Self::Standard,
        }
    }
}

/// A part of the curriculum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Optimiser steps.
    pub steps: u64,
    /// Height and width that images are resized to.
    pub size: usize,
    /// Where batch normalisation takes its statistics from.
    pub statistics: Statistics,
    /// What is done to training images, if not what the run does to all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub augmentation: Option<AugmentationConfig>,
}

/// Where batch normalisation takes its statistics from in training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Statistics {
    /// The images of the batch, as in ordinary training.
    Batch,
    /// The learned calibration batch, which is trained along: what an exported file will use.
    Calibration,
}

impl TrainConfig {
    /// Reads and checks a configuration.
    pub fn load(path: &Path) -> Result<Self, TrainError> {
        let problem = |problem: String| TrainError::Config { path: path.to_owned(), problem };
        let text = std::fs::read_to_string(path).map_err(|error| problem(error.to_string()))?;
        let config: Self = toml::from_str(&text).map_err(|error| problem(error.to_string()))?;
        config.check().map_err(problem)?;
        Ok(config)
    }

    /// All optimiser steps.
    pub fn steps(&self) -> u64 {
        self.stages.iter().map(|stage| stage.steps).sum()
    }

    /// The stage a step belongs to.
    pub fn stage(&self, step: u64) -> &Stage {
        let mut end = 0;
        self.stages
            .iter()
            .find(|stage| {
                end += stage.steps;
                step < end
            })
            .unwrap_or(&self.stages[self.stages.len() - 1])
    }

    fn check(&self) -> Result<(), String> {
        let Self { network: NetworkConfig { encoder, .. }, denoising, .. } = self;
        let demands = [
            (self.steps() > 0, "stages: at least one step is needed"),
            (
                self.stages.iter().all(|stage| (4..=512).contains(&stage.size)),
                "stages: size must be 4 to 512",
            ),
            (
                self.beside.iter().all(|it| it.share > 0.0)
                    && self.beside.iter().map(|it| it.share).sum::<f32>() < 1.0,
                "beside: shares must be positive and leave something for 'space'",
            ),
            (
                self.beside.iter().filter_map(|it| it.size).all(|size| (4..=512).contains(&size)),
                "beside: size must be 4 to 512",
            ),
            (
                self.meta_batch > 0 || denoising.checkpoints > 0 || self.episodes.is_some(),
                "meta_batch must be positive where there are neither episodes nor checkpoints",
            ),
            (
                self.episodes.iter().all(|it| {
                    it.per_step > 0 && it.classes[0] >= 2 && it.classes[0] <= it.classes[1]
                }),
                "episodes: per_step must be positive, and classes two numbers from 2 on that rise",
            ),
            (
                self.episodes.iter().all(|it| it.images >= 2 * it.classes[0]),
                "episodes.images must be at least two for each of the fewest classes",
            ),
            (
                self.episodes
                    .iter()
                    .all(|it| !it.data.is_empty() && it.data.iter().all(|data| data.weight > 0.0)),
                "episodes.data: at least one data set is needed, and weights must be positive",
            ),
            (
                (0.0..=1.0).contains(&self.predicted_heads),
                "predicted_heads must be a share, from 0 to 1",
            ),
            (denoising.members > 0, "denoising.members must be positive"),
            (
                self.network.diffusion.is_some() || is_default(denoising),
                "denoising: needs network.diffusion",
            ),
            (
                denoising.zoo.is_some() == (denoising.checkpoints > 0),
                "denoising: zoo and checkpoints go together",
            ),
            (self.batch > 1, "batch must be at least 2"),
            (self.graphs > 0, "graphs must be positive"),
            (self.validate_every > 0, "validate_every must be positive"),
            (self.log_every > 0, "log_every must be positive"),
            (self.network.calibration > 0, "network.calibration must be positive"),
            (
                encoder.heads > 0 && encoder.width.is_multiple_of(encoder.heads),
                "network.encoder: heads must divide width",
            ),
        ];
        match demands.iter().find(|(holds, _)| !holds) {
            Some((_, demand)) => Err((*demand).to_owned()),
            None => Ok(()),
        }
    }
}

fn one() -> f32 {
    1.0
}

fn fifty() -> u64 {
    50
}

fn eight() -> usize {
    8
}

fn sixty_four() -> usize {
    64
}

fn sixteen_thousand() -> usize {
    16_384
}

fn weight_penalty() -> f32 {
    3e-5
}

fn network_clip() -> f32 {
    3.0
}

fn three_minutes() -> u64 {
    180
}

fn five_hundred() -> u64 {
    500
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipes_of_the_bundled_predictors_are_valid() {
        for name in crate::predictor::BUNDLED {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("predictors").join(name);
            let config = TrainConfig::load(&folder.join("train.toml")).unwrap();
            assert_eq!(config.name, name);
            let last = config.stage(config.steps() - 1);
            assert_eq!(last.statistics, Statistics::Calibration);
            assert_eq!(config.stage(0), &config.stages[0]);
        }
    }
}
