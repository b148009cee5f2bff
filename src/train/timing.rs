//! A training step of one graph, set up to be timed whole and in parts.

use std::sync::Arc;

use burn::tensor::Device;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{
    encoder::NodeBatch,
    execute::{Images, NormStatistics, Runner, Scratch, Scratches},
    graph::Weights,
    kernels::cross_entropy,
    neural::{self, Entry},
    onnx::Model,
    ops::{Registry, Vocabulary},
    predictor::{Condition, Estimate, InputConfig, Job, Network, NetworkConfig},
};

use super::{
    AdamW, GraphReader, OptimiserConfig, PreparedGraph, Statistics, TrainError,
    step::{Goal, Objective, Replica, Task, step},
};

/// Graphs of a step, as in training.
const GRAPHS: usize = 8;
const CHANNELS: usize = 3;
const CLASSES: u16 = 10;

/// A graph, a predictor fresh from initialisation, and random images of ten classes.
pub struct StepFixture {
    graph: Arc<PreparedGraph>,
    tasks: Vec<Task>,
    images: Arc<Vec<f32>>,
    labels: Arc<Vec<u16>>,
    network: NetworkConfig,
    input: InputConfig,
    operators: usize,
    entries: Vec<Entry>,
    adam: AdamW,
    objective: Objective,
    size: usize,
    weights: Weights,
    scratch: Scratch,
    scratches: Scratches,
}

impl StepFixture {
    /// Architecture-steps in one call of [`StepFixture::step`].
    pub const ARCHITECTURE_STEPS: usize = GRAPHS;

    /// Sets a graph up for square RGB images of some size, run on kernels where there are and
    /// `kernels` are wanted.
    pub fn new(
        model: &Model,
        registry: &Arc<Registry>,
        size: usize,
        batch: usize,
        network: &NetworkConfig,
        kernels: bool,
    ) -> Result<Self, TrainError> {
        let vocabulary = Vocabulary::of(registry);
        let operators = vocabulary.len();
        let reader = GraphReader {
            registry: Arc::clone(registry),
            vocabulary,
            node_encoder: None,
            sources: network.sources,
            mirror: false,
            trunk: false,
        };
        let mut graph = PreparedGraph::of(model, size, &reader)?;
        if !kernels {
            graph.runner = Runner::without_kernels(&graph.architecture, registry);
        }
        let graph = Arc::new(graph);
        let channels = graph.architecture.inputs[0].shape.as_deref().and_then(|s| s.get(1));
        if channels != Some(&CHANNELS) {
            let problem = format!("{}: does not read {CHANNELS} channels", model.name());
            return Err(TrainError::Mismatch(problem));
        }
        let input = InputConfig { mean: vec![0.0; CHANNELS], std: vec![1.0; CHANNELS], size };
        let empty = Network::new(network, &input, operators, &Device::flex());
        let entries = neural::entries(&empty);
        let mut random = ChaCha8Rng::seed_from_u64(0);
        let pixels = batch * CHANNELS * size * size;
        let images: Vec<f32> = (0..pixels).map(|_| neural::normal(&mut random)).collect();
        let labels: Vec<u16> = (0..batch).map(|_| random.random_range(0..CLASSES)).collect();
        let (images, labels) = (Arc::new(images), Arc::new(labels));
        let tasks = (0..GRAPHS)
            .map(|_| Task {
                graph: graph.clone(),
                condition: Condition::full_noise(None, Vec::new()),
                mirrored: false,
                noise: 0,
                goal: Goal::Classify {
                    images: images.clone(),
                    labels: labels.clone(),
                    solved: true,
                },
            })
            .collect();
        let objective = Objective {
            statistics: Statistics::Batch,
            label_smoothing: 0.0,
            weight_penalty: 0.0,
            network_clip: 3.0,
            recovery: 0.0,
            members: 1,
            together: 0.0,
            diffusion: None,
        };
        let mut fixture = Self {
            adam: AdamW::new(neural::initialise(&entries, 0)),
            graph,
            tasks,
            images,
            labels,
            network: network.clone(),
            input,
            operators,
            entries,
            objective,
            size,
            weights: Weights::default(),
            scratch: Scratch::default(),
            scratches: Scratches::default(),
        };
        let device = Device::flex();
        let predictor = fixture.predictor(&device);
        fixture.weights = Estimate::new(&predictor, &[fixture.job()], &device).weights().remove(0);
        Ok(fixture)
    }

    /// The predictor on a device.
    pub fn predictor(&self, device: &Device) -> Network {
        let empty = Network::new(&self.network, &self.input, self.operators, device);
        neural::with_values(empty, &self.adam.values, device)
    }

    fn job(&self) -> Job<'_> {
        Job::new(&self.graph.features, &self.graph.plan)
    }

    /// Encodes the graph, without gradients.
    pub fn encode(&self, predictor: &Network) {
        let device = Device::flex();
        let batch = NodeBatch::new(&[&self.graph.features], &device);
        std::hint::black_box(predictor.tokens(&batch, None));
    }

    /// Encodes the graph and decodes its weights, without gradients.
    pub fn predict(&self, predictor: &Network) {
        let estimate = Estimate::new(predictor, &[self.job()], &Device::flex());
        std::hint::black_box(estimate.weights());
    }

    /// Runs the predicted network forward, on one core where it has kernels.
    pub fn forward(&mut self) -> Result<(), TrainError> {
        let images = view(&self.images, self.size);
        let all = NormStatistics::Measured { rows: 0..images.batch };
        let logits = self.graph.runner.logits(&self.weights, images, &all, &mut self.scratch)?;
        std::hint::black_box(logits);
        Ok(())
    }

    /// Runs the predicted network forward and backward, on one core where it has kernels.
    pub fn differentiate(&mut self) -> Result<(), TrainError> {
        let labels = &self.labels;
        let images = view(&self.images, self.size);
        let all = NormStatistics::Measured { rows: 0..images.batch };
        let mut loss = |logits: &[f32], gradient: &mut [f32]| {
            cross_entropy(logits, labels, 0.0, gradient, usize::from(CLASSES)).loss
        };
        let scratch = &mut self.scratch;
        let runner = &self.graph.runner;
        let gradients = runner.gradients(&self.weights, images, &all, &mut loss, false, scratch)?;
        std::hint::black_box(gradients);
        Ok(())
    }

    /// Updates the predictor with a gradient of ones.
    pub fn optimise(&mut self) {
        let gradient: Vec<_> = self.entries.iter().map(|entry| vec![1.0; entry.len()]).collect();
        self.adam.update(&self.entries, &gradient, 1e-6, &OptimiserConfig::default());
    }

    /// A whole training step of [`StepFixture::ARCHITECTURE_STEPS`] copies of the graph: encoder,
    /// decoder, networks forward and backward, gradient of the predictor, optimiser.
    pub fn step(&mut self) -> Result<(), TrainError> {
        let device = Device::flex();
        let replica = Replica { network: self.predictor(&device), device };
        let result = step(&[replica], &self.tasks, &self.objective, &self.scratches)?;
        if let Some(gradient) = result.gradient {
            self.adam.update(&self.entries, &gradient, 1e-6, &OptimiserConfig::default());
        }
        Ok(())
    }
}

fn view(data: &[f32], size: usize) -> Images<'_> {
    let batch = data.len() / (CHANNELS * size * size);
    Images { batch, channels: CHANNELS, height: size, width: size, data }
}
