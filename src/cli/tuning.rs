//! How a network is trained: the flags that `finetune` and `adapt` share.

use clap::{Args, ValueEnum};

use crate::condition::{FineTuning, Optimiser};

use super::{
    Failure,
    support::{AugmentationArg, rate},
};

/// Epochs, optimiser and images.
#[derive(Debug, Args)]
pub(super) struct TuningArgs {
    /// Most passes over the training images
    #[arg(long, value_name = "E", default_value_t = FineTuning::default().epochs as u16)]
    epochs: u16,
    /// Most seconds of training, by which the learning rate falls then; not repeatable
    #[arg(long, value_name = "S")]
    seconds: Option<f64>,
    /// What moves weights
    #[arg(long, value_enum, default_value_t = OptimiserArg::Adamw)]
    optimiser: OptimiserArg,
    /// Highest learning rate; 0.001 for adamw and 0.05 for sgd if not given
    #[arg(long, value_name = "R", value_parser = rate)]
    rate: Option<f32>,
    /// Weight decay
    #[arg(long, value_name = "D", default_value_t = FineTuning::default().decay)]
    decay: f32,
    /// Images of a step
    #[arg(long, value_name = "N", default_value_t = FineTuning::default().batch as u16, value_parser = clap::value_parser!(u16).range(1..))]
    batch: u16,
    /// Random changes of the images
    #[arg(long, value_name = "HOW", default_value = "shift")]
    augmentation: AugmentationArg,
    /// Stop after so many epochs without a better one; 0 for never
    #[arg(long, value_name = "E", default_value_t = 0)]
    patience: u16,
}

/// What moves weights along gradients.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum OptimiserArg {
    /// AdamW
    Adamw,
    /// SGD with momentum 0.9
    Sgd,
}

impl TuningArgs {
    /// What they ask for.
    pub(super) fn tuning(&self) -> Result<FineTuning, Failure> {
        let optimiser = match self.optimiser {
            OptimiserArg::Adamw => Optimiser::AdamW,
            OptimiserArg::Sgd => Optimiser::Sgd,
        };
        if self.seconds.is_some_and(|seconds| seconds.is_nan() || seconds <= 0.0) {
            return Err("--seconds must be positive".into());
        }
        Ok(FineTuning {
            optimiser,
            epochs: self.epochs.into(),
            seconds: self.seconds,
            rate: self.rate.unwrap_or_else(|| optimiser.usual_rate()),
            decay: self.decay,
            batch: self.batch.into(),
            augmentation: self.augmentation.into(),
            patience: self.patience.into(),
        })
    }
}
