//! What a denoiser is told besides the graph.

use crate::graph::Weights;

/// The condition of one estimate.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// Noise level, from 0 to 1.
    pub time: f32,
    /// Quality asked for, from 0 to 1 over the range of the zoo; `None` for whatever.
    pub quality: Option<f32>,
    /// Tells samples apart; empty for the mean of all.
    pub latent: Vec<f32>,
    /// What is known of the weights; nothing at full noise.
    pub noisy: Option<Noisy>,
}

impl Condition {
    /// Full noise.
    pub fn full_noise(quality: Option<f32>, latent: Vec<f32>) -> Self {
        Self { time: 1.0, quality, latent, noisy: None }
    }
}

/// Weights under way, standardised (see [`crate::patches::PatchPlan::standardise`]).
#[derive(Clone, Debug, PartialEq)]
pub struct Noisy {
    /// x_t, scaled by α_t so that it fades as it tells less.
    pub weights: Weights,
    /// The estimate x̂₀ before this one (Chen et al. 2022, *Analog Bits*).
    pub previous: Weights,
}

impl Noisy {
    /// Of x_t, α_t and the estimate before.
    pub fn new(noisy: &Weights, signal: f32, previous: Weights) -> Self {
        let faded = |_, values: &[f32]| values.iter().map(|value| signal * value).collect();
        Self { weights: noisy.map(faded), previous }
    }
}
