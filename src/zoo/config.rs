//! `CONFIG.toml` of `weightsmith zoo grow`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{data::Augmentation, optimise::cosine};

use super::{Precision, ZooError};

/// What a zoo is grown from, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrowConfig {
    /// Name of the zoo.
    pub name: String,
    /// Search space: a file, or the name of a built-in one.
    pub space: String,
    /// Data set, by path relative to the working directory.
    pub data: PathBuf,
    /// Folder of the zoo. Not part of what it is, so not stored in it.
    #[serde(default, skip_serializing)]
    pub out: PathBuf,
    /// Seed of images and their order.
    #[serde(default)]
    pub seed: u64,
    /// How many graphs: those of the smallest seeds of the space that qualify.
    pub graphs: usize,
    /// Graphs with more multiply-accumulates for one image do not qualify.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub largest_macs: Option<u64>,
    /// Images held out of the training set that snapshots are judged on.
    #[serde(default = "five_hundred")]
    pub validation_images: usize,
    /// How weights are stored.
    #[serde(default)]
    pub precision: Precision,
    /// SPDX expression of the licence of the weights.
    #[serde(default = "own_licence")]
    pub licence: String,
    /// How networks are trained.
    #[serde(default)]
    pub training: Training,
    /// The predictors that networks start from; each graph starts from all of them in turn.
    pub parents: Vec<ParentConfig>,
}

/// A predictor that networks start from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParentConfig {
    /// A folder, or the name of a bundled one.
    pub predictor: String,
    /// Training steps after which a snapshot is taken, ascending; 0 is the prediction itself.
    pub finetune: Vec<u64>,
}

/// How a network is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Training {
    /// The optimiser.
    pub optimiser: Optimiser,
    /// How the learning rate goes.
    pub schedule: Schedule,
    /// Peak learning rate.
    pub rate: f32,
    /// Images per step.
    pub batch: usize,
    /// Largest norm of the gradient.
    pub clip: f32,
    /// Decoupled decay of the operators' weights, as a factor on the learning rate.
    pub weight_decay: f32,
    /// Label smoothing of the loss that is trained on.
    pub label_smoothing: f32,
    /// What is done to training images.
    pub augmentation: Augmentation,
}

impl Default for Training {
    fn default() -> Self {
        Self {
            optimiser: Optimiser::Sgd,
            schedule: Schedule::Cosine,
            rate: 0.02,
            batch: 64,
            clip: 5.0,
            weight_decay: 5e-4,
            label_smoothing: 0.0,
            augmentation: Augmentation::Standard,
        }
    }
}

/// An optimiser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Optimiser {
    /// Stochastic gradient descent with momentum 0.9.
    Sgd,
    /// Adam with β = (0.9, 0.999) (Kingma & Ba 2015).
    Adam,
}

/// A course of the learning rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Schedule {
    /// Always the peak.
    Constant,
    /// From the peak to zero, as half a cosine wave.
    Cosine,
}

impl Schedule {
    /// The factor on the peak rate at a step of a run.
    pub(super) fn factor(self, step: u64, steps: u64) -> f32 {
        match self {
            Self::Constant => 1.0,
            Self::Cosine => cosine(step as f32 / steps.max(1) as f32),
        }
    }
}

impl GrowConfig {
    /// Reads and checks a configuration.
    pub fn load(path: &Path) -> Result<Self, ZooError> {
        let problem = |problem: String| ZooError::Config { path: path.to_owned(), problem };
        let text = std::fs::read_to_string(path).map_err(|error| problem(error.to_string()))?;
        let config: Self = toml::from_str(&text).map_err(|error| problem(error.to_string()))?;
        config.check().map_err(problem)?;
        Ok(config)
    }

    /// Checkpoints of one graph.
    pub fn snapshots(&self) -> usize {
        self.parents.iter().map(|parent| parent.finetune.len()).sum()
    }

    /// Whether a zoo that this one describes can be grown on into one that `longer` describes: all
    /// is the same but for the place and a larger number of graphs.
    pub(super) fn extends_to(&self, longer: &Self) -> bool {
        let same = Self { graphs: self.graphs, out: self.out.clone(), ..longer.clone() };
        same == *self && longer.graphs >= self.graphs
    }

    fn check(&self) -> Result<(), String> {
        let Training { rate, batch, clip, weight_decay, label_smoothing, .. } = self.training;
        let ascending = |parent: &ParentConfig| {
            !parent.finetune.is_empty() && parent.finetune.is_sorted_by(|a, b| a < b)
        };
        let demands = [
            (!self.out.as_os_str().is_empty(), "out: a folder is needed"),
            (self.graphs > 0, "graphs must be positive"),
            (self.validation_images > 0, "validation_images must be positive"),
            (!self.parents.is_empty(), "parents: at least one is needed"),
            (
                self.parents.iter().all(ascending),
                "parents: finetune must be numbers of steps in ascending order, at least one",
            ),
            (rate.is_finite() && rate > 0.0, "training.rate must be positive"),
            (batch > 1, "training.batch must be at least 2"),
            (clip > 0.0, "training.clip must be positive"),
            ((0.0..1.0).contains(&label_smoothing), "training.label_smoothing must be in [0, 1)"),
            (
                weight_decay.is_finite() && weight_decay >= 0.0,
                "training.weight_decay must not be negative",
            ),
        ];
        match demands.iter().find(|(holds, _)| !holds) {
            Some((_, demand)) => Err((*demand).to_owned()),
            None => Ok(()),
        }
    }
}

fn five_hundred() -> usize {
    500
}

fn own_licence() -> String {
    env!("CARGO_PKG_LICENSE").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<GrowConfig, String> {
        let config: GrowConfig = toml::from_str(text).map_err(|error| error.to_string())?;
        config.check().map(|()| config)
    }

    const SMALL: &str = "name = 'z'\nspace = 'tiny'\ndata = 'd'\nout = 'o'\ngraphs = 3\n\
                         [[parents]]\npredictor = 'cifar10'\nfinetune = [0, 5]\n";

    #[test]
    fn the_recipe_of_the_zoo_is_valid() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/configs");
        let config = GrowConfig::load(&root.join("zoo.toml")).unwrap();
        assert!(config.graphs >= 500 && config.graphs * config.snapshots() >= 2000);
    }

    #[test]
    fn a_zoo_grows_by_graphs_only() {
        let config = parse(SMALL).unwrap();
        let change = |change: fn(&mut GrowConfig)| {
            let mut other = config.clone();
            change(&mut other);
            config.extends_to(&other)
        };
        assert!(change(|other| other.graphs = 4));
        assert!(change(|other| other.out = "elsewhere".into()));
        assert!(!change(|other| other.graphs = 2));
        assert!(!change(|other| other.seed = 1));
        assert!(!change(|other| other.training.rate = 1.0));
    }

    #[test]
    fn nonsense_is_named() {
        let refused = |from: &str, to: &str| parse(&SMALL.replace(from, to)).unwrap_err();
        assert!(refused("[0, 5]", "[5, 0]").contains("finetune"));
        assert!(refused("[0, 5]", "[]").contains("finetune"));
        assert!(refused("graphs = 3", "graphs = 0").contains("graphs"));
        assert!(refused("out = 'o'\n", "").contains("out"));
        assert!(refused("graphs = 3", "graphs = 3\nbudget = 1").contains("budget"));
    }

    #[test]
    fn the_rate_falls_to_zero() {
        let factors = [0, 50, 100].map(|step| Schedule::Cosine.factor(step, 100));
        assert_eq!(factors.map(|factor| (factor * 100.0).round()), [100.0, 50.0, 0.0]);
        assert_eq!(Schedule::Constant.factor(100, 100), 1.0);
    }
}
