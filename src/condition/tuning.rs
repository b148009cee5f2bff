//! How a network is fine-tuned.

use serde::{Deserialize, Serialize};

use crate::data::Augmentation;

use super::steps::LABEL_SMOOTHING;

/// What moves weights along gradients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Optimiser {
    /// AdamW (Loshchilov & Hutter 2019).
    AdamW,
    /// Stochastic gradient descent with momentum 0.9.
    Sgd,
    /// Muon (Jordan et al. 2024), without weight decay, each step as long as a share of what it moves.
    #[default]
    Muon,
}

impl Optimiser {
    /// The learning rate that is usual for it.
    pub fn usual_rate(self) -> f32 {
        match self {
            Self::AdamW => 1e-3,
            Self::Sgd => 0.05,
            Self::Muon => 0.03,
        }
    }
}

/// How a network is fine-tuned: with a learning rate that rises at first and then falls along a cosine.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FineTuning {
    /// What moves weights.
    pub optimiser: Optimiser,
    /// Most passes over the training images.
    pub epochs: usize,
    /// Most seconds of training, by which the learning rate falls then; such runs are not repeatable.
    pub seconds: Option<f64>,
    /// Highest learning rate.
    pub rate: f32,
    /// Weight decay of matrices and kernels.
    pub decay: f32,
    /// Images of a step.
    pub batch: usize,
    /// Random changes of the images.
    pub augmentation: Augmentation,
    /// Share of the labels' probability that all classes have in equal parts (Szegedy et al. 2016).
    #[serde(default)]
    pub label_smoothing: f32,
    /// Share of the run that weights are averaged over, exponentially (Polyak & Juditsky 1992): averages are judged and kept.
    /// None if 0.
    #[serde(default)]
    pub averaging: f32,
    /// Epochs without a better one after which training stops; never if 0.
    pub patience: usize,
}

/// Two of thirty epochs.
const AVERAGING: f32 = 0.07;

impl Default for FineTuning {
    /// What brings predicted weights furthest in a few epochs.
    fn default() -> Self {
        Self {
            augmentation: Augmentation::Affine,
            label_smoothing: LABEL_SMOOTHING,
            averaging: AVERAGING,
            ..Self::ordinary(Optimiser::default())
        }
    }
}

impl FineTuning {
    /// Ordinary training: shifted images, labels and weights as they are.
    pub fn ordinary(optimiser: Optimiser) -> Self {
        Self {
            optimiser,
            epochs: 30,
            seconds: None,
            rate: optimiser.usual_rate(),
            decay: 0.01,
            batch: 64,
            augmentation: Augmentation::Shift,
            label_smoothing: 0.0,
            averaging: 0.0,
            patience: 0,
        }
    }
}

/// One pass over the training images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// From 1; 0 is the start.
    pub number: usize,
    /// Mean cross-entropy of the training images, in nats; none of the start.
    pub loss: Option<f32>,
    /// Share of the validation images that is classified right, where there are any.
    pub top1: Option<f64>,
}
