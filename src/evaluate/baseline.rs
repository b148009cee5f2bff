//! What predicted weights are compared with: plain SGD.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::{
    data::{Augmentation, Batcher, DataError, Dataset},
    execute::{Images, NormStatistics, Program, Scratch},
    graph::{Architecture, Weights},
    kernels::cross_entropy,
    optimise::{Sgd, clip, cosine},
    predictor::InputConfig,
    weights::he_initialisation,
};

/// SGD with momentum 0.9, weight decay 5e-4, cosine decay, gradient norm clipped at 5.
const RATE: f32 = 0.05;
const DECAY: f32 = 5e-4;
const CLIP: f32 = 5.0;
/// Images per step.
pub const BATCH: usize = 64;
/// Images that running statistics are measured on after training.
const MEASURED: usize = 512;

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
        let sgd = Sgd {
            rate: RATE * cosine(step as f32 / steps as f32),
            scale: clip(square.sqrt(), CLIP),
            keep: 1.0,
            penalty: Some(DECAY),
        };
        for ((id, weights), (_, momentum)) in weights.tensors_mut().zip(momentum.tensors_mut()) {
            sgd.step(weights, momentum, gradients.parameters.get(id).unwrap_or_default());
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
