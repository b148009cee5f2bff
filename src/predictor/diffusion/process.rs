//! How weights turn into noise, and back.

use serde::{Deserialize, Serialize};

/// The path from weights at time 0 to noise at time 1: x_t = α_t x₀ + σ_t ε.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Process {
    /// α = cos(π t / 2), σ = sin(π t / 2): variance preserving (Nichol & Dhariwal 2021).
    #[default]
    Cosine,
    /// α = 1 − t, σ = t: flow matching along straight lines (Lipman et al. 2023).
    Flow,
}

impl Process {
    /// α_t.
    pub fn signal(self, time: f32) -> f32 {
        match self {
            Self::Cosine => (std::f32::consts::FRAC_PI_2 * time).cos().max(0.0),
            Self::Flow => 1.0 - time,
        }
    }

    /// σ_t.
    pub fn noise(self, time: f32) -> f32 {
        match self {
            Self::Cosine => (std::f32::consts::FRAC_PI_2 * time).sin(),
            Self::Flow => time,
        }
    }
}

/// The diffusion part of a predictor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiffusionConfig {
    /// Length of the latent, drawn from N(0, 1) once per sample and told to every node, so that all
    /// tensors of a sample agree.
    pub latent: usize,
    /// Width that a noisy patch is read into.
    pub patch: usize,
    /// The path to noise.
    pub process: Process,
    /// Standard deviation, in standardised weights, of what the network cannot tell from graph and
    /// condition. The estimate leaves this much to the noisy patches: see [`DiffusionConfig::trust`].
    pub spread: f32,
    /// Whether every second sample is the mirror image of what the network writes, where the
    /// architecture has one: for data sets whose images are as likely mirrored as not.
    pub mirror: bool,
    /// Steps that a sample takes where nothing else is asked for.
    pub steps: usize,
    /// Whether full noise, quality 1 and a latent of zeros add nothing to what the network would write
    /// without any condition. The first sample is drawn with that latent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub anchored: bool,
}

impl Default for DiffusionConfig {
    fn default() -> Self {
        Self {
            latent: 8,
            patch: 64,
            process: Process::Cosine,
            spread: 0.05,
            mirror: false,
            steps: 1,
            anchored: false,
        }
    }
}

impl DiffusionConfig {
    /// The share κ of x̂₀ = F + κ (x_t − α_t F), where F is what the network writes: the posterior mean
    /// of weights N(F, spread²) given x_t. Zero at full noise, where x̂₀ is F.
    pub fn trust(&self, time: f32) -> f32 {
        let (signal, noise) = (self.process.signal(time), self.process.noise(time));
        let variance = self.spread * self.spread;
        signal * variance / (signal * signal * variance + noise * noise).max(f32::MIN_POSITIVE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_abs_diff_eq;

    #[test]
    fn paths_run_from_weights_to_noise() {
        for process in [Process::Cosine, Process::Flow] {
            assert_abs_diff_eq!(process.signal(0.0), 1.0);
            assert_abs_diff_eq!(process.noise(0.0), 0.0);
            assert_abs_diff_eq!(process.signal(1.0), 0.0, epsilon = 1e-6);
            assert_abs_diff_eq!(process.noise(1.0), 1.0, epsilon = 1e-6);
        }
    }

    #[test]
    fn noise_is_not_trusted_and_weights_are() {
        let config = DiffusionConfig::default();
        assert_abs_diff_eq!(config.trust(1.0), 0.0, epsilon = 1e-6);
        assert_abs_diff_eq!(config.trust(0.0), 1.0, epsilon = 1e-6);
        assert!(config.trust(0.2) > config.trust(0.8));
    }
}
