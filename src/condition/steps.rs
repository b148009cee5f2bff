//! Gradient steps along the log-likelihood of a support set, as corrector steps after sampling (Song et al.
//! 2021, *Score-based generative modeling through SDEs*, section 4.2). Gradients of matrices are
//! orthogonalised, which makes a few steps count (Jordan et al. 2024, *Muon*).

use std::sync::Arc;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    data::{Augmentation, Dataset},
    graph::{Architecture, Parameter, Role},
    observer::Observer,
    optimise::{Muon, linear},
    predictor::{Prediction, ValueSource},
};

use super::{ConditionError, Fitting, loss::SupportLoss};

/// How weights are steered towards a support set.
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
    /// Random changes of the images.
    pub augmentation: Augmentation,
    /// Share of the labels' probability that all classes have in equal parts (Szegedy et al. 2016); records
    /// without it are of steps without.
    #[serde(default)]
    pub label_smoothing: f32,
    /// Whether the steps follow the images and the network: more of them for many images, see [`Steering::for_images`],
    /// smaller and fewer ones for costly networks, see [`Steering::affordable`].
    pub bounded: bool,
}

impl Default for Steering {
    fn default() -> Self {
        Self {
            steps: 144,
            batch: 128,
            rate: 0.03,
            spread: 1.0,
            augmentation: Augmentation::Affine,
            label_smoothing: LABEL_SMOOTHING,
            bounded: true,
        }
    }
}

/// The usual label smoothing.
pub(super) const LABEL_SMOOTHING: f32 = 0.1;
/// Multiply-accumulates of forward passes that bounded steps may cost: with backward passes and the optimiser, about
/// five minutes on two cores.
const AFFORDABLE: u64 = 5_000_000_000_000;
/// Images for which the usual steps are enough; twice as many take twice as many steps, and so do more of them.
const FEW_IMAGES: usize = 500;
/// Fewest images of a bounded step, and fewest bounded steps.
const LEAST: [usize; 2] = [32, 8];

impl Steering {
    /// So many steps, or the usual ones, which follow the images and the network.
    pub fn of_steps(steps: Option<usize>) -> Self {
        let usual = Self::default();
        Self { steps: steps.unwrap_or(usual.steps), bounded: steps.is_none(), ..usual }
    }

    /// What is done with a support set of so many images.
    pub fn for_images(self, images: usize) -> Self {
        match self.bounded {
            true => Self {
                steps: self.steps * images.clamp(FEW_IMAGES, 2 * FEW_IMAGES) / FEW_IMAGES,
                ..self
            },
            false => self,
        }
    }

    /// What is done to a network of so many multiply-accumulates an image: where all steps would cost too
    /// much, they take fewer images, and where that does not suffice, there are fewer of them.
    pub fn affordable(self, multiply_accumulates: u64) -> Self {
        let images =
            usize::try_from(AFFORDABLE / multiply_accumulates.max(1)).unwrap_or(usize::MAX);
        if !self.bounded || self.steps == 0 || self.steps.saturating_mul(self.batch) <= images {
            return self;
        }
        let [fewest_images, fewest_steps] = LEAST;
        let batch = (images / self.steps).clamp(fewest_images.min(self.batch), self.batch);
        let steps = (images / batch).clamp(fewest_steps.min(self.steps), self.steps);
        Self { steps, batch, ..self }
    }

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

/// What all samples of a network have in common; see [`SupportLoss`].
pub(super) struct Course<'a> {
    architecture: &'a Architecture,
    loss: SupportLoss<'a>,
    steering: Steering,
    observer: Arc<dyn Observer>,
}

impl<'a> Course<'a> {
    /// Towards images that have the channels that the network reads; they are resized to its height and
    /// width.
    pub fn new(
        network: &Fitting<'a>,
        data: &'a Dataset,
        steering: Steering,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, ConditionError> {
        let Steering { augmentation, label_smoothing, .. } = steering;
        let loss = SupportLoss::new(network, data, augmentation, label_smoothing)?;
        let steering = steering.affordable(loss.multiply_accumulates());
        Ok(Self { architecture: network.architecture, loss, steering, observer })
    }

    /// The steps that are taken.
    pub fn steering(&self) -> Steering {
        self.steering
    }

    /// See [`SupportLoss::is_fast`].
    pub fn is_fast(&self) -> bool {
        self.loss.is_fast()
    }

    /// Moves sample number `sample` of `seed` along its own images; parameters that were not predicted
    /// stay. A step that leaves the next images much less likely than those of the start were, or a
    /// gradient that is not finite, is taken back, and all further ones are half as large. Returns the
    /// steps that were kept.
    pub fn run(
        &self,
        prediction: &mut Prediction,
        seed: u64,
        sample: u64,
    ) -> Result<usize, ConditionError> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(sample);
        let mut rate = self.steering.rate_of(seed, sample);
        let Steering { steps, batch, .. } = self.steering;
        let mut momenta = prediction.weights.map(|_, weights| vec![0.0; weights.len()]);
        let mut before = None;
        let mut worst = f32::INFINITY;
        let mut kept = 0;
        // One more than there are steps: the last is judged, too.
        for step in 0..=steps {
            let (images, labels) = self.loss.batcher.batch(batch, &mut random);
            let (loss, gradient) = self.loss.gradient(&prediction.weights, &images, &labels)?;
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
            let labels = &prediction.labels;
            let tensors = prediction.weights.tensors_mut().zip(momenta.tensors_mut());
            let moved = tensors.filter_map(|((id, weights), (_, momentum))| {
                let own = matches!(labels[id.0], ValueSource::Predicted | ValueSource::Solved);
                let gradient = gradient.get(id).filter(|of| own && of.len() == weights.len())?;
                Some((&self.architecture.parameters[id.0], weights, momentum, gradient))
            });
            let moved: Vec<_> = moved.collect();
            moved.into_par_iter().for_each(|(parameter, weights, momentum, gradient)| {
                step_parameter(muon, parameter, weights, momentum, gradient);
            });
            self.architecture.constrain(&mut prediction.weights);
        }
        Ok(kept)
    }
}

/// One step of Muon of a parameter, by what it is.
pub(super) fn step_parameter(
    muon: Muon,
    parameter: &Parameter,
    values: &mut [f32],
    momentum: &mut [f32],
    gradient: &[f32],
) {
    match matrix(parameter) {
        Some(size) => muon.step_matrices(values, momentum, gradient, size),
        None => muon.step_vector(values, momentum, gradient),
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

    #[test]
    fn many_images_take_more_steps_and_at_most_twice_as_many() {
        let steps = |images| Steering::default().for_images(images).steps;
        assert_eq!([0, 200, 500, 750, 1000, 45_000].map(steps), [144, 144, 144, 216, 288, 288]);
        assert_eq!(Steering::of_steps(Some(32)).for_images(45_000).steps, 32);
    }

    #[test]
    fn costly_networks_take_smaller_and_then_fewer_steps() {
        let affordable = |cost| {
            let Steering { steps, batch, .. } = Steering::default().affordable(cost);
            [steps, batch]
        };
        assert_eq!(affordable(10_000_000), [144, 128]);
        assert_eq!(affordable(400_000_000), [144, 86]);
        assert_eq!(affordable(4_000_000_000), [39, 32]);
        assert_eq!(affordable(u64::MAX), [8, 32]);
        let asked = Steering { steps: 500, bounded: false, ..Steering::default() };
        assert_eq!(asked.affordable(u64::MAX), asked);
        let few = Steering { steps: 3, batch: 4, ..Steering::default() };
        assert_eq!(few.affordable(u64::MAX), few);
    }
}
