//! What predicted weights are compared with: random initialisation and plain SGD.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::{
    data::{Augmentation, Batcher, DataError, Dataset},
    execute::{Images, NormStatistics, Program, Scratch},
    graph::{Architecture, Role, Weights},
    kernels::cross_entropy,
    neural::normal,
    predictor::InputConfig,
};

/// SGD with momentum 0.9, weight decay 5e-4, cosine decay, gradient norm clipped at 5.
const RATE: f32 = 0.05;
const MOMENTUM: f32 = 0.9;
const DECAY: f32 = 5e-4;
const CLIP: f32 = 5.0;
/// Images per step.
pub const BATCH: usize = 64;
/// Images that running statistics are measured on after training.
const MEASURED: usize = 512;

/// He initialisation (He et al. 2015): weights N(0, 2 / fan-in), norms identity, biases zero.
pub fn he_initialisation(architecture: &Architecture, seed: u64) -> Weights {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let parameters = architecture.parameters.iter();
    parameters
        .map(|parameter| {
            let length = parameter.len().unwrap_or(0);
            let Some(slot) = parameter.slots.first() else { return vec![0.0; length] };
            match slot.role {
                Role::Weight => {
                    let scale = (2.0 / slot.fan_in.max(1) as f32).sqrt();
                    (0..length).map(|_| scale * normal(&mut random)).collect()
                }
                Role::Gain | Role::RunningVariance => vec![1.0; length],
                Role::Slope => vec![0.25; length],
                _ => vec![0.0; length],
            }
        })
        .collect()
}

/// Trains a network from He initialisation for some epochs and measures its running statistics.
/// Runs on one core.
pub fn train_with_sgd(
    architecture: &Architecture,
    program: &Program,
    data: &Dataset,
    input: &InputConfig,
    augmentation: Augmentation,
    epochs: usize,
    seed: u64,
) -> Result<Weights, DataError> {
    let mut weights = he_initialisation(architecture, seed);
    let mut momentum = weights.map(|_, values| vec![0.0; values.len()]);
    let batcher = Batcher::new(data, &input.mean, &input.std, input.size, augmentation)?;
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(1);
    let scratch = &mut Scratch::default();
    let steps = epochs * data.len() / BATCH;
    let statistics = NormStatistics::Measured { rows: 0..BATCH };
    for step in 0..steps {
        let (images, labels) = batcher.batch(BATCH, &mut random);
        let (_, gradients) = program.gradients(
            &weights,
            view(&images, input),
            &statistics,
            &mut |logits, gradient| {
                cross_entropy(logits, &labels, 0.0, gradient, program.classes()).loss
            },
            false,
            scratch,
        );
        let square: f32 = gradients.parameters.values().map(|gradient| gradient * gradient).sum();
        if !square.is_finite() {
            continue;
        }
        let shrink = (CLIP / square.sqrt().max(1e-12)).min(1.0);
        let progress = step as f32 / steps as f32;
        let rate = RATE * 0.5 * (1.0 + (std::f32::consts::PI * progress).cos());
        for ((id, weights), (_, momentum)) in weights.tensors_mut().zip(momentum.tensors_mut()) {
            let gradient = gradients.parameters.get(id).unwrap_or_default();
            for ((weight, momentum), gradient) in weights.iter_mut().zip(momentum).zip(gradient) {
                *momentum = MOMENTUM * *momentum + shrink * gradient + DECAY * *weight;
                *weight -= rate * *momentum;
            }
        }
    }
    let plain = Batcher::new(data, &input.mean, &input.std, input.size, Augmentation::None)?;
    let (images, _) = plain.range(0..MEASURED.min(data.len()));
    for measured in program.statistics(&weights, view(&images, input), scratch) {
        weights.set(measured.mean, measured.means);
        weights.set(measured.variance, measured.variances);
    }
    Ok(weights)
}

fn view<'a>(images: &'a [f32], input: &InputConfig) -> Images<'a> {
    let (channels, size) = (input.channels(), input.size);
    let batch = images.len() / (channels * size * size);
    Images { batch, channels, height: size, width: size, data: images }
}
