//! Held-out accuracy during training: validation graphs, images held out of the training set.

use burn::tensor::Device;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::{
    condition::{DistilledHead, LeftOut},
    data::{Augmentation, Batcher, Dataset},
    execute::{Images, NormStatistics, Scratch},
    graph::Weights,
    kernels::likeliest,
    neural::{download, normal},
    predictor::{
        CalibrationImages, Condition, Conditioner, Estimate, InputConfig, Job, LearnedLabels,
        Network,
    },
};

use super::{
    GraphReader, GraphSource, PreparedGraph, TrainError, Trunk, episodes::Episodes, step::Episode,
};

/// Validation graphs, where there are so many.
const GRAPHS: u64 = 12;
/// Images per graph.
const IMAGES: usize = 500;
/// Episodes per graph.
const EPISODES: usize = 4;
/// Most images of an episode.
const EPISODE_IMAGES: usize = 200;
/// Seed of the samples that are judged, one of each graph.
const LATENT_SEED: u64 = 0;

/// Fixed graphs and images.
pub struct Validation {
    graphs: Vec<PreparedGraph>,
    images: Vec<f32>,
    labels: Vec<u16>,
    shape: [usize; 2],
    /// Some for each graph, where episodes are trained on.
    episodes: Vec<Vec<Episode>>,
}

/// Accuracies over the graphs.
pub struct Validated {
    /// Mean, in inference mode, statistics from the learned calibration batch.
    pub exported: f64,
    /// Mean, statistics from the validation images.
    pub batch_statistics: f64,
    /// Worst graph, in inference mode.
    pub worst: f64,
    /// Mean over episodes of held-out images, where there are any: see [`LeftOut`].
    pub episodes: Option<f64>,
}

impl Validation {
    /// Reads graphs and images, which are `size` pixels wide and high.
    pub fn new(
        source: &GraphSource,
        reader: &GraphReader,
        input: &InputConfig,
        size: usize,
        held_out: &Dataset,
        episodes: Option<&Episodes>,
    ) -> Result<Self, TrainError> {
        let input = &InputConfig { size, ..input.clone() };
        let graphs: Vec<PreparedGraph> = source
            .validation(GRAPHS)?
            .iter()
            .map(|model| PreparedGraph::of(model, size, reader))
            .collect::<Result<_, TrainError>>()?;
        let batcher = Batcher::new(held_out, &input.mean, &input.std, size, Augmentation::None)?;
        let (images, labels) = batcher.range(0..IMAGES.min(held_out.len()));
        let shape = [input.channels(), size];
        let mut random = ChaCha8Rng::seed_from_u64(LATENT_SEED);
        let mut some = |graph| {
            let sets = (0..EPISODES).map(|it| graph * EPISODES + it);
            let episodes = sets.flat_map(|set| {
                let episodes = episodes?;
                Some(episodes.plain(set, EPISODE_IMAGES, input, &mut random))
            });
            episodes.collect()
        };
        let episodes = (0..graphs.len()).map(&mut some).collect::<Result<_, _>>()?;
        Ok(Self { graphs, images, labels, shape, episodes })
    }

    /// Judges a network that lives on a plain device.
    pub fn run(&self, network: &Network, device: &Device) -> Result<Validated, TrainError> {
        let [channels, size] = self.shape;
        let learned_labels = LearnedLabels::of(network);
        let calibration = network.calibration();
        let (shape, data) = (calibration.dims(), download(calibration));
        let calibration = CalibrationImages { shape, data }.resized(shape[0], [size, size]).data;
        let view = |data| -> Images {
            let batch = <[f32]>::len(data) / (channels * size * size);
            Images { batch, channels, height: size, width: size, data }
        };
        let latent = network.conditioner().map_or(0, Conditioner::latent);
        let mut random = ChaCha8Rng::seed_from_u64(LATENT_SEED);
        let mut best = || {
            let latent = (0..latent).map(|_| normal(&mut random)).collect();
            Condition::full_noise(Some(1.0), latent)
        };
        let conditions: Vec<Condition> = self.graphs.iter().map(|_| best()).collect();
        let pairs = self.graphs.iter().zip(&conditions);
        let jobs: Vec<Job> = pairs
            .map(|(graph, condition)| Job {
                condition: Some(condition),
                ..Job::new(&graph.features, &graph.plan)
            })
            .collect();
        let weights = Estimate::new(network, &jobs, device).weights();
        let accuracies: Vec<[f64; 2]> = self
            .graphs
            .par_iter()
            .zip(weights.clone())
            .map(|(graph, mut weights)| {
                let scratch = &mut Scratch::default();
                let all = NormStatistics::Measured { rows: 0..self.labels.len() };
                let logits = graph.runner.logits(&weights, view(&self.images), &all, scratch)?;
                let batch = self.accuracy(&logits);
                for measured in graph.runner.statistics(&weights, view(&calibration), scratch)? {
                    weights.set(measured.mean, measured.means);
                    weights.set(measured.variance, measured.variances);
                }
                let running = NormStatistics::Running;
                if let (Some(labels), Some(Trunk { head, runner })) =
                    (&learned_labels, &graph.trunk)
                {
                    let read = runner.logits(&weights, view(&calibration), &running, scratch)?;
                    if let Some(solved) = DistilledHead::of(head, &weights, &read, labels) {
                        solved.write(&mut weights);
                    }
                }
                let logits =
                    graph.runner.logits(&weights, view(&self.images), &running, scratch)?;
                Ok([self.accuracy(&logits), batch])
            })
            .collect::<Result<_, TrainError>>()?;
        let episodes = self.graphs.par_iter().zip(&weights).zip(&self.episodes);
        let episodes: Vec<Vec<f64>> = episodes
            .map(|((graph, weights), episodes)| {
                let told = episodes.iter().map(|it| told_apart(graph, weights, it));
                told.filter_map(Result::transpose).collect()
            })
            .collect::<Result<_, TrainError>>()?;
        let episodes: Vec<f64> = episodes.into_iter().flatten().collect();
        let mean = |index: usize| {
            accuracies.iter().map(|pair| pair[index]).sum::<f64>() / accuracies.len().max(1) as f64
        };
        Ok(Validated {
            exported: mean(0),
            batch_statistics: mean(1),
            worst: accuracies.iter().map(|pair| pair[0]).fold(1.0, f64::min),
            episodes: (!episodes.is_empty())
                .then(|| episodes.iter().sum::<f64>() / episodes.len() as f64),
        })
    }

    fn accuracy(&self, logits: &[f32]) -> f64 {
        let classes = logits.len() / self.labels.len();
        let correct = logits
            .chunks(classes)
            .zip(&self.labels)
            .filter(|(logits, label)| likeliest(logits) == Some(usize::from(**label)))
            .count();
        correct as f64 / self.labels.len() as f64
    }
}

/// Share of the images that are told apart by the features of a trunk; `None` where there is none.
fn told_apart(
    graph: &PreparedGraph,
    weights: &Weights,
    &Episode { ref images, ref labels, classes }: &Episode,
) -> Result<Option<f64>, TrainError> {
    let Some(Trunk { head, runner }) = &graph.trunk else { return Ok(None) };
    let (batch, &PreparedGraph { channels, size, .. }) = (labels.len(), graph);
    let images = Images { batch, channels, height: size, width: size, data: images };
    let all = NormStatistics::Measured { rows: 0..batch };
    let rows = runner.logits(weights, images, &all, &mut Scratch::default())?;
    let left_out = LeftOut::of_input(head, &rows, labels, classes);
    Ok(left_out.map(|it| it.correct as f64 / batch as f64))
}
