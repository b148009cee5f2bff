//! How images are to be normalised for a filled network.

use serde::{Deserialize, Serialize};

use crate::predictor::InputConfig;

use super::{Network, metadata::metadata_name};

/// Entries of the metadata, each a JSON list with a value for each channel.
const MEAN: &str = "mean";
const STD: &str = "std";

/// What a network is to be given: `(pixel / 255 - mean) / std`, channel by channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InputNormalisation {
    /// Means, for pixels scaled to 0–1.
    pub mean: Vec<f32>,
    /// Standard deviations.
    pub std: Vec<f32>,
}

impl InputNormalisation {
    /// That of an input, for a network; `None` where it reads no such images.
    pub(super) fn of(network: &Network, input: &InputConfig) -> Option<Self> {
        let [channels, ..] = network.architecture.image_shape().ok()?;
        let InputConfig { mean, std, .. } = input.with_channels(channels).ok()?;
        Some(Self { mean, std })
    }

    /// None at all: pixels from 0 to 1, of as many channels.
    pub(super) fn plain(&self) -> Self {
        Self { mean: vec![0.0; self.mean.len()], std: vec![1.0; self.std.len()] }
    }

    pub(super) fn in_metadata(&self) -> [(&'static str, String); 2] {
        [(MEAN, &self.mean), (STD, &self.std)].map(|(name, values)| {
            let values: Vec<String> = values.iter().map(f32::to_string).collect();
            (name, format!("[{}]", values.join(", ")))
        })
    }
}

impl Network {
    /// How images are normalised for it: as its file says, if `predict` or `finetune` wrote it, or else as
    /// usual.
    pub fn input_config(&self, usual: &InputConfig) -> InputConfig {
        let read = |name| -> Option<Vec<f32>> {
            serde_json::from_str(self.model.metadata(&metadata_name(name))?).ok()
        };
        match (read(MEAN), read(STD)) {
            (Some(mean), Some(std)) if mean.len() == std.len() && !mean.is_empty() => {
                InputConfig { mean, std, size: usual.size }
            }
            _ => usual.clone(),
        }
    }
}
