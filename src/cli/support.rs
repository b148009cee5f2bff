//! What weights are fitted to.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::{condition::Steering, data::Augmentation, fill::SupportSet};

/// A support set, and the gradient steps on it.
#[derive(Debug, Args)]
pub(super) struct SupportArgs {
    /// Fit the weights to the labelled training images of a data set: statistics are measured on them, the
    /// last linear map is fitted by logistic regression, and gradient steps follow. Its classes become those of the
    /// outputs
    #[arg(long, value_name = "DATA")]
    support: Option<PathBuf>,
    /// Gradient steps; 0 for none at all. If not given there are 144, up to twice as many for more than 500
    /// images, and fewer or smaller ones for a network on which they would take minutes
    #[arg(long, value_name = "N", requires = "support")]
    support_steps: Option<u16>,
    /// Images of a step
    #[arg(long, value_name = "N", requires = "support", default_value_t = Steering::default().batch as u16, value_parser = clap::value_parser!(u16).range(1..))]
    support_batch: u16,
    /// Norm of the first step of a matrix beside the norm of the matrix; steps that do harm are taken back
    #[arg(long, value_name = "R", requires = "support", default_value_t = Steering::default().rate, value_parser = rate)]
    support_rate: f32,
    /// Largest factor by which the step size of a sample may differ from the usual one; it is drawn
    #[arg(long, value_name = "F", requires = "support", default_value_t = 1.0, value_parser = factor)]
    support_spread: f32,
    /// Random changes of the images of a step
    #[arg(long, value_name = "HOW", requires = "support", default_value = "affine")]
    support_augmentation: AugmentationArg,
    /// Share of the labels' probability that all classes have in equal parts
    #[arg(long, value_name = "SHARE", requires = "support", default_value_t = Steering::default().label_smoothing, value_parser = share)]
    support_label_smoothing: f32,
}

impl SupportArgs {
    /// The support set, if there is to be one.
    pub fn set(&self) -> Option<SupportSet> {
        let steering = Steering {
            batch: self.support_batch.into(),
            rate: self.support_rate,
            spread: self.support_spread,
            augmentation: self.support_augmentation.into(),
            label_smoothing: self.support_label_smoothing,
            ..Steering::of_steps(self.support_steps.map(usize::from))
        };
        self.support.clone().map(|data| SupportSet { data, steering })
    }
}

/// Random changes of images.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum AugmentationArg {
    /// None
    None,
    /// Mirrors every other image left to right
    Mirror,
    /// Shifts by up to an eighth of the side
    Shift,
    /// Shifts, and mirrors every other image: for photographs
    Standard,
    /// Shifts, turns and stretches: for few images
    Affine,
}

impl From<AugmentationArg> for Augmentation {
    fn from(augmentation: AugmentationArg) -> Self {
        match augmentation {
            AugmentationArg::None => Self::None,
            AugmentationArg::Mirror => Self::Mirror,
            AugmentationArg::Shift => Self::Shift,
            AugmentationArg::Standard => Self::Standard,
            AugmentationArg::Affine => Self::Affine,
        }
    }
}

fn factor(text: &str) -> Result<f32, String> {
    number(text, |value| value >= 1.0, "must be 1 or more")
}

pub(super) fn rate(text: &str) -> Result<f32, String> {
    number(text, |value| value > 0.0, "must be positive")
}

pub(super) fn share(text: &str) -> Result<f32, String> {
    number(text, |value| (0.0..1.0).contains(&value), "must be from 0 to less than 1")
}

/// A finite number within a range.
fn number(text: &str, fits: fn(f32) -> bool, otherwise: &str) -> Result<f32, String> {
    let value: f32 = text.parse().map_err(|error| format!("{error}"))?;
    match value.is_finite() && fits(value) {
        true => Ok(value),
        false => Err(otherwise.to_owned()),
    }
}
