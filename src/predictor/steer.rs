//! Steering weights towards labelled images: corrector steps after sampling, along the gradient of the
//! log-likelihood of a support set (Song et al. 2021, *Score-based generative modeling through SDEs*,
//! section 4.2). Gradients of matrices are orthogonalised, which makes a few steps count (Jordan et al.
//! 2024, *Muon*).

use std::sync::Arc;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    data::{Augmentation, Batcher, Dataset, class_list},
    execute::{Images, NormStatistics, Runner, Scratch, Scratches},
    graph::{Architecture, Parameter, Role, Weights},
    kernels::{cross_entropy, elementwise::accumulate},
    observer::{Observer, Silent},
    ops::{Registry, resolve_with_input},
    optimise::{Muon, linear},
};

use super::{InputConfig, Prediction, Predictor, PredictorError, ValueSource};

/// How weights are steered.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Steering {
    /// Steps.
    pub steps: usize,
    /// Support images of a step, drawn at random.
    pub batch: usize,
    /// Norm of the first step of a matrix beside the norm of the matrix; it falls to zero linearly.
    pub rate: f32,
    /// Largest factor between the rate and that of a sample, which is drawn log-uniformly, and so that
    /// the samples of a seed lie evenly; 1 if all samples are to have the same.
    pub spread: f32,
}

/// Labelled images that weights are steered towards, and how.
#[derive(Clone, Debug)]
pub struct Support<'a> {
    /// Images and labels.
    pub data: &'a Dataset,
    /// How.
    pub steering: Steering,
    /// Watches the steps of all samples.
    pub observer: Arc<dyn Observer>,
}

impl<'a> Support<'a> {
    /// With steps that nobody watches.
    pub fn new(data: &'a Dataset, steering: Steering) -> Self {
        Self { data, steering, observer: Arc::new(Silent) }
    }
}

impl Default for Steering {
    fn default() -> Self {
        Self { steps: 48, batch: 128, rate: 0.03, spread: 1.0 }
    }
}

impl Steering {
    /// The rate of a sample. Any number of consecutive samples lie evenly between the bounds: steps of
    /// the golden ratio from a place that the seed draws (Kronecker's low-discrepancy sequence).
    fn rate_of(&self, seed: u64, sample: u64) -> f32 {
        let start: f64 = ChaCha8Rng::seed_from_u64(seed).random();
        let place = (start + (sample as f64 * GOLDEN).fract()).fract();
        self.rate * self.spread.max(1.0).powf(2.0 * place as f32 - 1.0)
    }
}

/// The golden ratio, without its one.
const GOLDEN: f64 = 0.618_033_988_749_894_9;
/// By how much, in nats, a step may leave the images less likely than those of the start were. What is
/// lost in a step too long by a little is won back; what is lost in one that destroys the function is not.
const TOLERANCE: f32 = 2.5;
/// Most support images that are differentiated in one pass, beside the calibration images.
const PASS: usize = 128;

impl Predictor {
    /// Moves samples of predicted weights towards classifying labelled images, which have the channels
    /// that the network reads and are resized to its height and width, each along its own images; parameters that were not predicted stay. Batch normalisations take their statistics from
    /// the learned calibration images, as they do in training; measure them afterwards, see
    /// [`super::calibrate`]. The first sample is number `first` of `seed`. A step that leaves the next
    /// images much less likely than those of the start were, or a gradient that is not finite, is taken
    /// back, and all further ones are half as large. Returns the steps that every sample kept.
    pub fn steer(
        &self,
        architecture: &Architecture,
        registry: &Arc<Registry>,
        samples: &mut [Prediction],
        support: &Support,
        [seed, first]: [u64; 2],
    ) -> Result<Vec<usize>, PredictorError> {
        let Support { data, steering, observer } = support;
        let refuse = |problem: String| PredictorError::Mismatch(problem);
        let outputs = architecture.class_count()?;
        if outputs != data.classes.len() {
            return Err(refuse(format!(
                "the network has {outputs} outputs, the support set {}; give the network one output for \
                 each class",
                class_list(&data.classes)
            )));
        }
        let [channels, height, width] = architecture.image_shape()?;
        let images = self.calibration_images();
        // Large images are differentiated fewer at a time, in bounded memory.
        let [own_height, own_width] = [images.shape[2], images.shape[3]];
        let pass = (PASS * own_height * own_width / (height * width).max(1)).clamp(4, PASS);
        let takes_statistics = |parameter: &Parameter| parameter.role() == Some(Role::RunningMean);
        let calibration = match architecture.parameters.iter().any(takes_statistics) {
            true => {
                let fitted = images.fitted(architecture, images.shape[0]).map_err(refuse)?;
                fitted.images.resized(pass, [height, width]).data
            }
            false => Vec::new(),
        };
        let mut resolved = architecture.clone();
        let appended = calibration.len() / (channels * height * width);
        resolve_with_input(&mut resolved, &[pass + appended, channels, height, width], registry)?;
        let InputConfig { mean, std, .. } = self.config.input.with_channels(channels)?;
        let course = Course {
            architecture,
            runner: Runner::new(&resolved, registry),
            batcher: Batcher::of_size(data, &mean, &std, [height, width], Augmentation::None)?,
            calibration,
            shape: [channels, height, width],
            steering: *steering,
            observer: observer.as_ref(),
            pass,
            scratches: Scratches::default(),
        };
        let steer = |(sample, of): (usize, &mut Prediction)| {
            let sample = first + sample as u64;
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            random.set_stream(sample);
            course.steer(of, steering.rate_of(seed, sample), random)
        };
        observer.begin((steering.steps * samples.len()) as u64, 0);
        let kept = match course.runner.is_lowered() {
            true => samples.par_iter_mut().enumerate().map(steer).collect(),
            false => samples.iter_mut().enumerate().map(steer).collect(),
        };
        observer.end();
        kept
    }
}

/// What all samples of a network have in common.
struct Course<'a> {
    architecture: &'a Architecture,
    runner: Runner,
    batcher: Batcher<'a>,
    /// Images that batch normalisations are measured on; empty where there are none.
    calibration: Vec<f32>,
    /// Channels, height and width of images.
    shape: [usize; 3],
    steering: Steering,
    observer: &'a dyn Observer,
    /// Support images of a pass.
    pass: usize,
    scratches: Scratches,
}

impl Course<'_> {
    fn steer(
        &self,
        prediction: &mut Prediction,
        mut rate: f32,
        mut random: ChaCha8Rng,
    ) -> Result<usize, PredictorError> {
        let Steering { steps, batch, .. } = self.steering;
        let mut momenta = prediction.weights.map(|_, weights| vec![0.0; weights.len()]);
        let mut before = None;
        let mut worst = f32::INFINITY;
        let mut kept = 0;
        // One more than there are steps: the last is judged, too.
        for step in 0..=steps {
            let (images, labels) = self.batcher.batch(batch, &mut random);
            let (loss, gradient) = self.gradient(&prediction.weights, &images, &labels)?;
            self.observer.advance(u64::from(step > 0));
            if step == 0 {
                worst = loss + TOLERANCE;
            }
            if loss > worst || gradient.values().any(|value| !value.is_finite()) {
                if let Some(weights) = before.take() {
                    prediction.weights = weights;
                    kept -= 1;
                }
                momenta.values_mut().for_each(|momentum| *momentum = 0.0);
                rate /= 2.0;
                continue;
            }
            if step == steps {
                break;
            }
            before = Some(prediction.weights.clone());
            kept += 1;
            let muon = Muon { rate: rate * linear(step as f32 / steps as f32) };
            for (id, gradient) in gradient.tensors() {
                let parameter = &self.architecture.parameters[id.0];
                if prediction.labels[id.0] == ValueSource::Predicted
                    && let Some(weights) = prediction.weights.get_mut(id)
                    && let Some(momentum) = momenta.get_mut(id)
                    && gradient.len() == weights.len()
                {
                    match matrix(parameter) {
                        Some(size) => muon.step_matrices(weights, momentum, gradient, size),
                        None => muon.step_vector(weights, momentum, gradient),
                    }
                }
            }
            self.architecture.constrain(&mut prediction.weights);
        }
        Ok(kept)
    }

    /// The mean cross-entropy and its gradient by parameter, a few images at a time.
    fn gradient(
        &self,
        weights: &Weights,
        images: &[f32],
        labels: &[u16],
    ) -> Result<(f32, Weights), PredictorError> {
        let [channels, height, width] = self.shape;
        let length = channels * height * width;
        let part = |scratch: &mut Scratch, (images, own): (&[f32], &[u16])| {
            let data = [images, &self.calibration].concat();
            let batch = data.len() / length;
            let rows = if self.calibration.is_empty() { 0..batch } else { own.len()..batch };
            let share = own.len() as f32 / labels.len() as f32;
            let result = self.runner.gradients(
                weights,
                Images { batch, channels, height, width, data: &data },
                &NormStatistics::Measured { rows },
                &mut |logits, gradient| {
                    let classes = logits.len() / batch;
                    let loss = cross_entropy(logits, own, 0.0, gradient, classes).loss;
                    gradient.iter_mut().for_each(|value| *value *= share);
                    share * loss
                },
                false,
                scratch,
            );
            result.map(|(loss, gradients)| (loss, gradients.parameters))
        };
        let parts: Vec<_> =
            images.chunks(self.pass * length).zip(labels.chunks(self.pass)).collect();
        let part = |it| self.scratches.with(|scratch| part(scratch, it));
        let parts: Vec<(f32, Weights)> = match self.runner.is_lowered() {
            true => parts.into_par_iter().map(part).collect::<Result<_, _>>()?,
            false => parts.into_iter().map(part).collect::<Result<_, _>>()?,
        };
        let mut parts = parts.into_iter();
        let (mut loss, mut sum) = parts.next().unwrap_or_default();
        for (share, part) in parts {
            loss += share;
            for (id, sum) in sum.tensors_mut() {
                accumulate(part.get(id).unwrap_or_default(), sum);
            }
        }
        Ok((loss, sum))
    }
}

/// Values and columns of the matrices that a parameter consists of: one for each kernel that
/// reads a single channel, one for each leading index of three axes, one otherwise; `None` if it is no weight.
fn matrix(parameter: &Parameter) -> Option<[usize; 2]> {
    let shape = parameter.shape.as_deref().filter(|_| parameter.role() == Some(Role::Weight))?;
    let columns = |axes: &[usize]| axes.iter().product::<usize>();
    match *shape {
        [_, 1, ref window @ ..] if !window.is_empty() => Some([columns(window); 2]),
        [_, rows, inner] => Some([rows * inner, inner]),
        [rows, ref inner @ ..] if !inner.is_empty() => {
            Some([rows * columns(inner), columns(inner)])
        }
        _ => None,
    }
    .filter(|[length, _]| *length > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn rates_lie_evenly_between_their_bounds() {
        let steering = Steering { rate: 0.03, spread: 3.0, ..Steering::default() };
        for seed in 0..20 {
            let mut rates: Vec<f32> = (0..8).map(|it| steering.rate_of(seed, it)).collect();
            rates.sort_by(f32::total_cmp);
            assert!(rates[0] >= 0.01 - 1e-6 && rates[7] <= 0.09 + 1e-6);
            let places = rates.iter().map(|rate| (rate / 0.01).ln() / 9.0_f32.ln());
            let mut bounds: Vec<f32> = places.collect();
            bounds.splice(0..0, [0.0]);
            bounds.push(1.0);
            // A golden sequence of eight leaves gaps of at most 0.618³ (Steinhaus).
            assert!(bounds.windows(2).all(|pair| pair[1] - pair[0] < 0.237), "{bounds:?}");
        }
        assert_relative_eq!(Steering::default().rate_of(3, 1), 0.03);
    }
}
