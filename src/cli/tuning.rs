//! How a network is trained: the flags that `finetune` and `adapt` share.

use clap::{Args, ValueEnum};

use crate::condition::{FineTuning, Optimiser};

use super::{
    Failure,
    support::{AugmentationArg, rate, share},
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
    /// What moves weights [default: muon to fine-tune, adamw to adapt]
    #[arg(long, value_enum)]
    optimiser: Option<OptimiserArg>,
    /// Highest learning rate; 0.001 for adamw (0.003 for low-rank differences), 0.05 for sgd and 0.03 for muon if not
    /// given
    #[arg(long, value_name = "R", value_parser = rate)]
    rate: Option<f32>,
    /// Weight decay
    #[arg(long, value_name = "D", default_value_t = FineTuning::default().decay)]
    decay: f32,
    /// Images of a step
    #[arg(long, value_name = "N", default_value_t = FineTuning::default().batch as u16, value_parser = clap::value_parser!(u16).range(1..))]
    batch: u16,
    /// Random changes of the images [default: affine to fine-tune, shift to adapt]
    #[arg(long, value_name = "HOW")]
    augmentation: Option<AugmentationArg>,
    /// Share of the labels' probability that all classes have in equal parts [default: 0.1 to fine-tune, 0 to
    /// adapt]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    label_smoothing: Option<f32>,
    /// Share of the run that weights are averaged over, exponentially; 0 for none [default: 0.07 to fine-tune, 0
    /// to adapt]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    averaging: Option<f32>,
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
    /// Muon: steps of matrices are orthogonal and as long as a share of the matrix
    Muon,
}

impl TuningArgs {
    /// What they ask for, and the rest of what is usual.
    pub(super) fn tuning(&self, usual: FineTuning) -> Result<FineTuning, Failure> {
        let optimiser = match self.optimiser {
            None => usual.optimiser,
            Some(OptimiserArg::Adamw) => Optimiser::AdamW,
            Some(OptimiserArg::Sgd) => Optimiser::Sgd,
            Some(OptimiserArg::Muon) => Optimiser::Muon,
        };
        if self.seconds.is_some_and(|seconds| seconds.is_nan() || seconds <= 0.0) {
            return Err("--seconds must be positive".into());
        }
        Ok(FineTuning {
            optimiser,
            epochs: self.epochs.into(),
            seconds: self.seconds,
            rate: self.rate.unwrap_or(match optimiser == usual.optimiser {
                true => usual.rate,
                false => optimiser.usual_rate(),
            }),
            decay: self.decay,
            batch: self.batch.into(),
            augmentation: self.augmentation.map_or(usual.augmentation, Into::into),
            label_smoothing: self.label_smoothing.unwrap_or(usual.label_smoothing),
            averaging: self.averaging.unwrap_or(usual.averaging),
            patience: self.patience.into(),
        })
    }
}
