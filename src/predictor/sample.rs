//! Drawing weights: from noise at time 1 to weights at time 0.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{encoder::NodeFeatures, graph::Weights, neural::normal, patches::PatchPlan};

use super::{Condition, DiffusionConfig, Estimate, Job, Network, Noisy, Predictor};

/// How noise is taken off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Solver {
    /// First order, deterministic (Song et al. 2021, *DDIM*); along straight lines, Euler's method.
    #[default]
    Ddim,
    /// Second order, from the last two estimates (Lu et al. 2022, *DPM-Solver++(2M)*).
    DpmPlusPlus,
}

/// What is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sampling {
    /// Sets of weights.
    pub samples: usize,
    /// Estimates per sample; one is the one-pass estimate at full noise.
    pub steps: usize,
    /// How noise is taken off.
    pub solver: Solver,
    /// Quality asked for, from 0 to 1 over the range of the zoo; `None` for whatever.
    pub quality: Option<f32>,
    /// How far to go beyond the estimate, away from that for any quality (Ho & Salimans 2022).
    pub guidance: f32,
    /// Factor of the latents: the lower, the more alike are samples.
    pub temperature: f32,
    /// Seed of latents and noise; sample n is the same whatever the number of samples.
    pub seed: u64,
    /// Samples before the first that is drawn.
    pub first: usize,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            samples: 1,
            steps: 1,
            solver: Solver::Ddim,
            quality: Some(1.0),
            guidance: 0.0,
            temperature: 1.0,
            seed: 0,
            first: 0,
        }
    }
}

impl Predictor {
    /// What is drawn where nothing else is asked for.
    pub fn sampling(&self) -> Sampling {
        let steps = self.config.network.diffusion.as_ref().map_or(1, |it| it.steps);
        Sampling { steps, ..Sampling::default() }
    }
}

/// One sample under way.
struct Sample {
    latent: Vec<f32>,
    /// x_t, standardised; of no parameters before it is needed.
    noisy: Weights,
    /// The last estimate x̂₀, standardised, and its time.
    before: Option<(f32, Weights)>,
}

/// Draws weights for every sample. `parts` are plans that together cover the architecture;
/// `network` may know more operators than the predictor.
pub(super) fn draw(
    network: &Network,
    diffusion: Option<&DiffusionConfig>,
    features: &NodeFeatures,
    parts: &[PatchPlan],
    sampling: &Sampling,
    device: &burn::tensor::Device,
) -> Vec<Weights> {
    let one_pass = DiffusionConfig::default();
    let diffusion = diffusion.unwrap_or(&one_pass);
    let lengths = lengths(parts);
    let mut streams: Vec<ChaCha8Rng> = (0..sampling.samples)
        .map(|sample| {
            let mut random = ChaCha8Rng::seed_from_u64(sampling.seed);
            random.set_stream((sampling.first + sample) as u64);
            random
        })
        .collect();
    let sample = |(sample, random): (usize, &mut ChaCha8Rng)| {
        let is_anchor = diffusion.anchored && sampling.first + sample == 0;
        let temperature = if is_anchor { 0.0 } else { sampling.temperature };
        let latent = (0..diffusion.latent).map(|_| temperature * normal(random)).collect();
        Sample { latent, noisy: Weights::default(), before: None }
    };
    let mut samples: Vec<Sample> = streams.iter_mut().enumerate().map(sample).collect();
    let steps = sampling.steps.max(1);
    let estimate = |samples: &[Sample], time: f32, quality: Option<f32>| {
        let conditions: Vec<Condition> =
            samples.iter().map(|sample| sample.condition(diffusion, time, quality)).collect();
        let features = vec![features; samples.len()];
        let jobs = |plan| {
            let job = |condition| Job { condition: Some(condition), ..Job::new(features[0], plan) };
            conditions.iter().map(job).collect()
        };
        let parts: Vec<Vec<Job>> = parts.iter().map(jobs).collect();
        let mut weights = vec![Weights::absent(lengths.len()); samples.len()];
        let written =
            Estimate::in_parts(network, &features, &parts, device, |estimate| estimate.weights());
        for part in written {
            for (all, part) in weights.iter_mut().zip(part) {
                all.take_over(part);
            }
        }
        weights
    };
    let mut weights = Vec::new();
    for step in 0..steps {
        let at = |step: usize| 1.0 - step as f32 / steps as f32;
        let (time, next) = (at(step), at(step + 1));
        weights = estimate(&samples, time, sampling.quality);
        if sampling.guidance != 0.0 {
            let unasked = estimate(&samples, time, None);
            let unasked = unasked.iter().flat_map(Weights::values);
            for (weight, unasked) in weights.iter_mut().flat_map(Weights::values_mut).zip(unasked) {
                *weight += sampling.guidance * (*weight - unasked);
            }
        }
        if steps == 1 {
            break;
        }
        for ((sample, weights), random) in samples.iter_mut().zip(&mut weights).zip(&mut streams) {
            if step == 0 {
                let noise =
                    |&length: &usize| -> Vec<f32> { (0..length).map(|_| normal(random)).collect() };
                sample.noisy = lengths.iter().map(noise).collect();
            }
            let mut estimate = whole(parts, weights, PatchPlan::standardise);
            let (trust, signal) = (diffusion.trust(time), diffusion.process.signal(time));
            for (id, estimate) in estimate.tensors_mut() {
                let noisy = sample.noisy.get(id).unwrap_or_default();
                for (value, noisy) in estimate.iter_mut().zip(noisy) {
                    *value += trust * (noisy - signal * *value);
                }
            }
            if next <= 0.0 {
                *weights = whole(parts, &estimate, PatchPlan::restore);
            } else {
                sample.advance(diffusion, sampling.solver, [time, next], estimate);
            }
        }
    }
    weights
}

impl Sample {
    fn condition(&self, diffusion: &DiffusionConfig, time: f32, quality: Option<f32>) -> Condition {
        let signal = diffusion.process.signal(time);
        let before = self.before.as_ref();
        let noisy = before.map(|(_, estimate)| Noisy::new(&self.noisy, signal, estimate.clone()));
        Condition { time, quality, latent: self.latent.clone(), noisy }
    }

    /// Takes x_t to the next time, given the estimate x̂₀ at this one.
    fn advance(
        &mut self,
        diffusion: &DiffusionConfig,
        solver: Solver,
        [time, next]: [f32; 2],
        estimate: Weights,
    ) {
        let process = diffusion.process;
        let log_ratio = |time: f32| (process.signal(time) / process.noise(time)).ln();
        // DDIM: x' = (σ'/σ) x + (α' − α σ'/σ) x̂₀; the second order replaces x̂₀ by an extrapolation.
        let shrink = process.noise(next) / process.noise(time);
        let gain = process.signal(next) - process.signal(time) * shrink;
        let before = self.before.as_ref().filter(|_| solver == Solver::DpmPlusPlus);
        let further = before.map_or(0.0, |(earlier, _)| {
            let (last, now) =
                (log_ratio(time) - log_ratio(*earlier), log_ratio(next) - log_ratio(time));
            if last.is_finite() && last > 0.0 { now / (2.0 * last) } else { 0.0 }
        });
        for (id, noisy) in self.noisy.tensors_mut() {
            let Some(estimate) = estimate.get(id) else { continue };
            let before = before.and_then(|(_, before)| before.get(id));
            for (position, (noisy, &value)) in noisy.iter_mut().zip(estimate).enumerate() {
                let slope = before.map_or(0.0, |before| value - before[position]);
                *noisy = shrink * *noisy + gain * (value + further * slope);
            }
        }
        self.before = Some((time, estimate));
    }
}

/// Lengths of all parameters, zero for those that no part covers.
fn lengths(parts: &[PatchPlan]) -> Vec<usize> {
    let mut lengths = Vec::new();
    for part in parts {
        lengths.resize(part.lengths.len(), 0);
        lengths.iter_mut().zip(&part.lengths).for_each(|(all, own)| *all = (*all).max(*own));
    }
    lengths
}

/// What all parts together make of weights.
fn whole(
    parts: &[PatchPlan],
    weights: &Weights,
    of: impl Fn(&PatchPlan, &Weights) -> Weights,
) -> Weights {
    let mut all = Weights::absent(weights.len());
    parts.iter().for_each(|plan| all.take_over(of(plan, weights)));
    all
}
