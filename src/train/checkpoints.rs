//! Checkpoints of a zoo as tasks: to be recovered from noise, given their quality.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

use crate::{
    predictor::Condition,
    zoo::{Origin, Record, Zoo},
};

use super::{
    DenoisingConfig, GraphReader, PreparedGraph, TrainConfig, TrainError,
    step::{Goal, Task},
};

/// Share of the zoo's accuracies that lie below its range of quality, and above it.
const TAIL: f64 = 0.05;
/// Stream of the random numbers of the first step; those of graphs and images are far below.
const STREAM: u64 = 1 << 60;

/// The zoo of a run.
pub(super) struct Checkpoints {
    zoo: Zoo,
    config: DenoisingConfig,
    seed: u64,
    /// Graphs of the space that the zoo has checkpoints of, by fingerprint.
    graphs: HashMap<u64, Arc<PreparedGraph>>,
    /// Checkpoints of these graphs whose quality is known, as indices of records.
    usable: Vec<usize>,
    /// Accuracies that count as quality 0 and 1.
    range: [f64; 2],
}

impl Checkpoints {
    /// Opens the zoo of a configuration; `None` where it names none. Graphs are drawn again, for images
    /// of the given size.
    pub(super) fn open(
        config: &TrainConfig,
        reader: &GraphReader,
        size: usize,
    ) -> Result<Option<Self>, TrainError> {
        let Some(folder) = &config.denoising.zoo else { return Ok(None) };
        let zoo = Zoo::open(folder)?;
        let mut graphs = HashMap::new();
        let mut usable = Vec::new();
        let mut accuracies = Vec::new();
        for (index, record) in zoo.records().iter().enumerate() {
            let (Origin::Space { .. }, Some(quality)) = (&record.origin, &record.validation) else {
                continue;
            };
            if let Entry::Vacant(vacant) = graphs.entry(record.fingerprint) {
                let (model, architecture) = zoo.graph(record, &reader.registry)?;
                let graph = PreparedGraph::resolved(model.name(), architecture, size, reader)?;
                vacant.insert(Arc::new(graph));
            }
            usable.push(index);
            accuracies.push(quality.accuracy);
        }
        if usable.is_empty() {
            return Err(TrainError::Mismatch(format!(
                "{}: holds no checkpoint of known quality",
                folder.display()
            )));
        }
        accuracies.sort_by(f64::total_cmp);
        let at = |share: f64| accuracies[((accuracies.len() - 1) as f64 * share) as usize];
        let range = [at(TAIL), at(1.0 - TAIL)];
        let (config, seed) = (config.denoising.clone(), config.seed);
        Ok(Some(Self { zoo, config, seed, graphs, usable, range }))
    }

    /// Accuracies on validation images that count as quality 0 and 1.
    pub(super) fn range(&self) -> [f64; 2] {
        self.range
    }

    /// The tasks of a step.
    pub(super) fn tasks(&self, number: u64) -> Result<Vec<Task>, TrainError> {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(STREAM + number);
        (0..self.config.checkpoints as u64)
            .map(|position| {
                let index = self.usable.choose(&mut random).copied().unwrap_or_default();
                let record = &self.zoo.records()[index];
                let noise = STREAM + number * self.config.checkpoints as u64 + position;
                self.task(record, noise, &mut random)
            })
            .collect()
    }

    fn task(
        &self,
        record: &Record,
        noise: u64,
        random: &mut ChaCha8Rng,
    ) -> Result<Task, TrainError> {
        let graph = &self.graphs[&record.fingerprint];
        let weights = self.zoo.weights(record, &graph.architecture)?;
        let told = random.random::<f32>() >= self.config.quality_dropout;
        let quality =
            record.validation.as_ref().filter(|_| told).map(|it| self.quality(it.accuracy));
        let time = if random.random::<bool>() { 1.0 } else { random.random_range(0.02..0.98) };
        Ok(Task {
            graph: graph.clone(),
            condition: Condition { time, ..Condition::full_noise(quality, Vec::new()) },
            mirrored: false,
            noise,
            goal: Goal::Recover(Arc::new(weights)),
        })
    }

    fn quality(&self, accuracy: f64) -> f32 {
        let [low, high] = self.range;
        ((accuracy - low) / (high - low).max(1e-9)).clamp(0.0, 1.0) as f32
    }
}
