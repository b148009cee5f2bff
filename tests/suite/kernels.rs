//! Programs of kernels: scratch memory, and their speed on sampled graphs (run by hand).

use std::{ops::Range, time::Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use weightsmith::{
    execute::{Images, NormStatistics, Program, Scratch, cross_entropy},
    graph::{Architecture, Weights},
    onnx::Model,
    ops::{Registry, resolve, resolve_with_input},
    spaces::Space,
};

fn random(seed: u64, count: usize) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| random.random_range(-1.0..1.0)).collect()
}

/// A sampled graph with random weights for a batch, and its images.
struct Network {
    program: Program,
    weights: Weights,
    images: Vec<f32>,
    shape: [usize; 4],
}

impl Network {
    /// `None` where the graph does not take images of this size.
    fn new(onnx: &[u8], shape: [usize; 4]) -> Option<Self> {
        let model = Model::from_bytes("sample", onnx.to_vec().into()).ok()?;
        let mut architecture = Architecture::from_model(&model).ok()?;
        resolve(&mut architecture, &Registry::standard()).ok()?;
        resolve_with_input(&mut architecture, &shape, &Registry::standard()).ok()?;
        let program = Program::compile(&architecture, &Registry::standard()).ok()?;
        let weights = architecture.parameters.iter().enumerate().map(|(index, parameter)| {
            let bound = (3.0 / parameter.slots[0].fan_in.max(1) as f32).sqrt();
            let mut values = random(index as u64, parameter.len().unwrap_or(0));
            values.iter_mut().for_each(|value| *value *= bound);
            values
        });
        let weights = weights.collect();
        Some(Self { program, weights, images: random(99, shape.iter().product()), shape })
    }

    fn gradients(&self, rows: Range<usize>, scratch: &mut Scratch) -> (f32, Weights) {
        let [batch, channels, height, width] = self.shape;
        let images = Images { batch, channels, height, width, data: &self.images };
        let labels: Vec<u16> = (0..batch).map(|image| image as u16 % 10).collect();
        let classes = self.program.classes();
        let mut loss = |logits: &[f32], gradient: &mut [f32]| {
            cross_entropy(logits, &labels, 0.1, gradient, classes).loss
        };
        let statistics = NormStatistics::Measured { rows };
        let (loss, gradients) =
            self.program.gradients(&self.weights, images, &statistics, &mut loss, false, scratch);
        (loss, gradients.parameters)
    }
}

#[test]
fn used_scratch_memory_changes_nothing() {
    let space = Space::load("tiny").unwrap();
    let scratch = &mut Scratch::default();
    for seed in 0..12 {
        let graph = space.sample(seed).unwrap();
        let model = Model::from_bytes(&graph.name, graph.onnx.clone()).unwrap();
        let input = Architecture::from_model(&model).unwrap().inputs[0].shape.clone().unwrap();
        let network = Network::new(&graph.onnx, [21, input[1], input[2], input[3]]).unwrap();
        // Weights that are not a number must not leave traces.
        let mut broken = Network::new(&graph.onnx, network.shape).unwrap();
        broken.weights.values_mut().for_each(|weight| *weight = f32::NAN);
        let fresh = network.gradients(3..20, &mut Scratch::default());
        assert!(!broken.gradients(3..20, scratch).0.is_finite());
        assert_eq!(fresh, network.gradients(3..20, scratch));
        assert!(fresh.0.is_finite());
    }
}

/// Milliseconds of the fastest of some runs.
fn fastest(mut run: impl FnMut()) -> f64 {
    let times = (0..10).map(|_| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64() * 1e3
    });
    times.fold(f64::MAX, f64::min)
}

#[test]
#[ignore = "a benchmark"]
fn speed_on_sampled_graphs() {
    println!("one step (forward and backward, batch 64) on one core");
    let space = Space::load("cifar10").unwrap();
    for size in [16, 32] {
        let scratch = &mut Scratch::default();
        let (mut total, mut work, mut count) = (0.0, 0.0, 0.0);
        for seed in 0..60 {
            let graph = space.sample(seed).unwrap();
            let Some(network) = Network::new(&graph.onnx, [64, 3, size, size]) else { continue };
            total += fastest(|| {
                network.gradients(0..64, scratch);
            });
            work += 6.0 * 64.0 * graph.multiply_accumulates as f64 * (size * size) as f64 / 1024.0;
            count += 1.0;
        }
        println!(
            "{count} graphs at {size}x{size}: mean {:.2} ms, {:.0} GFLOP/s",
            total / count,
            work / total / 1e6
        );
    }
}
