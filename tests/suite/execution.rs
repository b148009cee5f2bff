//! The fast programs against the reference executor on sampled graphs.

use std::fs;

use approx::assert_relative_eq;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use weightsmith::{
    execute::{Images, NormStatistics, Program, Runner, Scratch},
    graph::{Architecture, ParameterId, Role, Weights},
    onnx::Model,
    ops::{Registry, resolve, resolve_with_input},
    spaces::{Bounds, Family, Named, Space},
};

use crate::beside;

const BATCH: usize = 3;

struct Case {
    name: String,
    architecture: Architecture,
    program: Program,
    weights: Weights,
    images: Vec<f32>,
    shape: [usize; 4],
}

/// A sampled graph with random weights and images.
fn case(space: &Space, seed: u64) -> Case {
    let graph = space.sample(seed).unwrap();
    case_of(&graph.name, graph.onnx.to_vec(), seed)
}

fn case_of(name: &str, onnx: Vec<u8>, seed: u64) -> Case {
    let model = Model::from_bytes(name, onnx.into()).unwrap();
    let mut architecture = Architecture::from_model(&model).unwrap();
    resolve(&mut architecture, &Registry::standard()).unwrap();
    let mut shape: [usize; 4] = architecture.inputs[0].shape.clone().unwrap().try_into().unwrap();
    shape[0] = BATCH;
    let resolution = resolve_with_input(&mut architecture, &shape, &Registry::standard()).unwrap();
    assert!(resolution.unsupported.is_empty(), "{:?}", resolution.unsupported);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut uniform = |low: f32, high: f32, count: usize| -> Vec<f32> {
        (0..count).map(|_| random.random_range(low..high)).collect()
    };
    let weights = architecture
        .parameters
        .iter()
        .map(|parameter| {
            let count = parameter.len().unwrap();
            let slot = &parameter.slots[0];
            match slot.role {
                Role::RunningVariance | Role::Gain => uniform(0.5, 1.5, count),
                Role::Weight => {
                    let bound = (3.0 / slot.fan_in as f32).sqrt();
                    uniform(-bound, bound, count)
                }
                _ => uniform(-0.5, 0.5, count),
            }
        })
        .collect();
    let images = uniform(-1.0, 1.0, shape.iter().product());
    let program = Program::compile(&architecture, &Registry::standard()).unwrap();
    Case { name: name.to_owned(), architecture, program, weights, images, shape }
}

impl Case {
    fn view(&self) -> Images<'_> {
        let [batch, channels, height, width] = self.shape;
        Images { batch, channels, height, width, data: &self.images }
    }

    /// A fixed linear loss of the logits.
    fn loss(logits: &[f32], gradient: &mut [f32]) -> f32 {
        let mut loss = 0.0;
        for (index, (logit, gradient)) in logits.iter().zip(gradient).enumerate() {
            *gradient = ((index % 7) as f32 - 3.0) / 3.0;
            loss += *gradient * logit;
        }
        loss
    }

    fn fast(&self, statistics: &NormStatistics) -> (f32, Weights, Vec<f32>) {
        let (loss, gradients) = self.program.gradients(
            &self.weights,
            self.view(),
            statistics,
            &mut Self::loss,
            true,
            &mut Scratch::default(),
        );
        (loss, gradients.parameters, gradients.images.unwrap())
    }
}

/// Largest difference, relative to the largest value.
fn distance(fast: &[f32], slow: &[f32]) -> f32 {
    assert_eq!(fast.len(), slow.len());
    let scale = slow.iter().fold(1e-3f32, |scale, value| scale.max(value.abs()));
    fast.iter().zip(slow).fold(0.0, |most: f32, (fast, slow)| most.max((fast - slow).abs())) / scale
}

/// The shallow families of the space `real`, in sizes that the reference can run in no time.
fn shallow() -> Space {
    let mut space = Space::load("real").unwrap();
    space.families.retain(|rule| {
        matches!(rule.family, Family::Plain | Family::Fire | Family::Vit | Family::Mlp)
    });
    cheap(space, [20_000, 4_000_000])
}

fn cheap(mut space: Space, costs: [u64; 2]) -> Space {
    let cheap = |bounds: &mut Bounds| bounds.multiply_accumulates = costs;
    cheap(&mut space.bounds);
    space.families.iter_mut().filter_map(|rule| rule.bounds.as_mut()).for_each(cheap);
    space
}

#[test]
fn programs_agree_with_the_reference_and_its_autodiff() {
    let scratch = &mut Scratch::default();
    let spaces = ["tiny", "corpus"].map(|space| Space::load(space).unwrap());
    let sampled = spaces.iter().flat_map(|space| (0..48).map(|seed| case(space, seed)));
    let mut hybrid = Space::load("hybrid").unwrap();
    // Batch norms behind each other magnify rounding.
    hybrid.families.retain(|rule| rule.family != Family::Maxvit);
    let (real, hybrid) = (shallow(), cheap(hybrid, [1_000_000, 15_000_000]));
    let sampled = sampled.chain((0..20).map(|seed| case(&real, seed)));
    let sampled = sampled.chain((0..8).map(|seed| case(&hybrid, seed)));
    let sequences = beside::repository("tests/fixtures/spellings/sequences.unfolded.onnx");
    let sequences = case_of("sequences", fs::read(sequences).unwrap(), 0);
    let named = ["vit-tiny", "convnext-atto"].into_iter();
    let named = named.map(|name| case_of(name, Named::find(name).unwrap().onnx(), 0));
    for case in sampled.chain(named).chain([sequences]) {
        let slow = Runner::Reference {
            architecture: Box::new(case.architecture.clone()),
            registry: Registry::standard(),
        };
        let weights = &case.weights;
        let of_rows = NormStatistics::Measured { rows: 1..BATCH };
        for statistics in [NormStatistics::Running, of_rows] {
            let slow_logits = slow.logits(weights, case.view(), &statistics, scratch).unwrap();
            let logits = case.program.logits(weights, case.view(), &statistics, scratch);
            let off = distance(&logits, &slow_logits);
            assert!(off < 2e-3, "{}: logits differ by {off}", case.name);
            let (slow_loss, slow) = slow
                .gradients(weights, case.view(), &statistics, &mut Case::loss, true, scratch)
                .unwrap();
            let (loss, gradients, images) = case.fast(&statistics);
            assert_relative_eq!(loss, slow_loss, epsilon = 1e-2, max_relative = 2e-3);
            let off = distance(&images, &slow.images.unwrap());
            assert!(off < 5e-3, "{}: images: {off}", case.name);
            for (index, parameter) in case.architecture.parameters.iter().enumerate() {
                let statistic = [Some(Role::RunningMean), Some(Role::RunningVariance)];
                if !statistic.contains(&parameter.role()) {
                    let [fast, slow] = [&gradients, &slow.parameters]
                        .map(|of| of.get(ParameterId(index)).unwrap_or_default());
                    let off = distance(fast, slow);
                    assert!(off < 5e-3, "{} {}: {off}", case.name, parameter.name);
                }
            }
        }
    }
}

#[test]
fn gradients_through_measured_statistics_are_derivatives() {
    let space = Space::load("tiny").unwrap();
    let mut checked = 0;
    for seed in 0..40 {
        let mut case = case(&space, seed);
        if !case.architecture.parameters.iter().any(|p| p.role() == Some(Role::RunningMean)) {
            continue;
        }
        let statistics = NormStatistics::Measured { rows: 1..BATCH };
        let (_, gradients, images) = case.fast(&statistics);
        // Directional derivatives along the gradient itself, in the first weight and the images.
        for along_images in [false, true] {
            let first = ParameterId(0);
            let gradient = if along_images { &images } else { gradients.get(first).unwrap() };
            let norm = gradient.iter().map(|g| g * g).sum::<f32>().sqrt().max(1e-6);
            let mut sides = [0.0; 2];
            for (side, sign) in sides.iter_mut().zip([1.0f32, -1.0]) {
                let step = sign * 1e-3 / norm;
                let target = match along_images {
                    true => &mut case.images[..],
                    false => case.weights.get_mut(first).unwrap(),
                };
                let saved = target.to_vec();
                for (value, gradient) in target.iter_mut().zip(gradient) {
                    *value += step * gradient;
                }
                *side = case.fast(&statistics).0;
                match along_images {
                    true => case.images = saved,
                    false => case.weights.set(first, saved),
                }
            }
            let numeric = (sides[0] - sides[1]) / 2e-3;
            assert_relative_eq!(numeric, norm, epsilon = 3e-2, max_relative = 5e-2);
        }
        checked += 1;
    }
    assert!(checked > 10);
}
