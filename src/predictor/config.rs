//! `config.json`: everything needed to load a predictor, nothing guessed from shapes.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::encoder::EncoderConfig;

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
        Self { encoder, trunk: 384, hidden: 256, calibration: 64, sources: false, diffusion: None }
    }
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
