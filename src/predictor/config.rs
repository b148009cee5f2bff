//! `config.json`: everything needed to load a predictor, nothing guessed from shapes.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    data::{DataError, LUMA},
    encoder::EncoderConfig,
};

use super::DiffusionConfig;

/// Version of the checkpoint format; a change that old readers would misread raises it.
/// Version 2 may pack tensors and build on another predictor.
pub const FORMAT_VERSION: u32 = 2;

/// The oldest version that is read.
pub(super) const OLDEST_FORMAT_VERSION: u32 = 1;

/// The images a predictor's networks expect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputConfig {
    /// Mean of each channel, for pixels scaled to 0–1.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel.
    pub std: Vec<f32>,
    /// Height and width.
    pub size: usize,
}

impl InputConfig {
    /// Number of channels.
    pub fn channels(&self) -> usize {
        self.mean.len()
    }

    /// The same normalisation for images of other channels, converted as
    /// [`Dataset::with_channels`](crate::data::Dataset::with_channels) converts them: that of grey images
    /// is repeated for colours, those of colours are mixed like luma for grey.
    pub fn with_channels(&self, channels: usize) -> Result<Self, DataError> {
        let convert = |values: &[f32]| match (values, channels) {
            (&[grey], 3) => vec![grey; 3],
            (&[red, green, blue], 1) => {
                vec![[red, green, blue].iter().zip(LUMA).map(|(value, share)| value * share).sum()]
            }
            _ => values.to_vec(),
        };
        let converted =
            Self { mean: convert(&self.mean), std: convert(&self.std), size: self.size };
        match converted.channels() == channels {
            true => Ok(converted),
            false => Err(DataError::channels(self.channels(), channels)),
        }
    }
}

/// Sizes of the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkConfig {
    /// The graph encoder.
    pub encoder: EncoderConfig,
    /// Width of the first decoder layer.
    pub trunk: usize,
    /// Width of the vector that the output layers read.
    pub hidden: usize,
    /// Images in the learned calibration batch.
    pub calibration: usize,
    /// Classes of the labels that the calibration batch learns, one to ten for each class: heads of so many
    /// classes are solved on it. 0 for a batch without labels.
    #[serde(skip_serializing_if = "is_zero")]
    pub labels: usize,
    /// Whether the patches of a weight follow the nodes that made the channels it reads; otherwise
    /// they follow the channels' numbers alone.
    pub sources: bool,
    /// What makes the network a denoiser; without, it is a one-pass predictor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diffusion: Option<DiffusionConfig>,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        let encoder = EncoderConfig::default();
        Self {
            encoder,
            trunk: 384,
            hidden: 256,
            calibration: 64,
            labels: 0,
            sources: false,
            diffusion: None,
        }
    }
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// The predictor that another one started from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// Name or folder.
    pub predictor: String,
    /// SHA-256 of its two files.
    pub hash: String,
}

/// The predictor that another one builds on: tensors that a model does not hold are there, and what that
/// one was trained on counts for both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Base {
    /// Name of a folder beside the predictor's own, or of a bundled predictor.
    pub name: String,
    /// Its [`hash`](super::Predictor::hash).
    pub hash: String,
}

/// How the predictor came to be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingRecord {
    /// The command that trained it.
    pub command: String,
    /// What training started from; random values where it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial: Option<Start>,
    /// Operators of the graphs that it was trained on, in this run or before; where it does not say,
    /// all of the vocabulary are taken for known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operators_met: Option<BTreeSet<String>>,
    /// Seed of initialisation, graphs, images and their order.
    pub seed: u64,
    /// Optimiser steps taken.
    pub steps: u64,
    /// Networks evaluated forward and backward.
    pub architecture_steps: u64,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// The search space graphs were drawn from.
    pub space: String,
    /// SHA-256 of the decoded training images and labels.
    pub data_hash: String,
    /// Accuracies on validation images that count as quality 0 and 1, where quality was learned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality_range: Option<[f64; 2]>,
    /// Mean top-1 on held-out training images and validation graphs, in inference mode.
    pub validation_top1: Option<f64>,
}

/// The whole of `config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PredictorConfig {
    /// See [`FORMAT_VERSION`].
    pub format_version: u32,
    /// Short name, also the name of the bundled folder.
    pub name: String,
    /// What it builds on; a predictor without stands for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Base>,
    /// Operators the encoder knows, in the order of their embedding rows.
    pub vocabulary: Vec<String>,
    /// Hash of the vocabulary.
    pub vocabulary_hash: String,
    /// Images its networks expect.
    pub input: InputConfig,
    /// Class names, in the order of the logits.
    pub classes: Vec<String>,
    /// Sizes.
    pub network: NetworkConfig,
    /// Provenance.
    pub training: TrainingRecord,
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::InputConfig;

    #[test]
    fn normalisation_follows_the_channels() {
        let colour = InputConfig { mean: vec![0.1, 0.2, 0.4], std: vec![0.25; 3], size: 32 };
        let grey = colour.with_channels(1).unwrap();
        assert_relative_eq!(grey.mean[0], 0.0299 + 0.1174 + 0.0456, max_relative = 1e-6);
        assert_relative_eq!(grey.std[0], 0.25, max_relative = 1e-6);
        let repeated = grey.with_channels(3).unwrap();
        assert_eq!(repeated.mean, [grey.mean[0]; 3]);
        assert_eq!(colour.with_channels(3).unwrap(), colour);
        assert!(colour.with_channels(4).unwrap_err().to_string().contains("4 are wanted"));
    }
}
