//! What is known of one trained graph.

use serde::{Deserialize, Serialize};

/// How all graphs of a file are trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelSetting {
    /// Of the data set that images come from.
    pub data_hash: String,
    /// Training images.
    pub images: usize,
    /// Further images that accuracies are measured on.
    pub validation: usize,
    /// Passes over the training images.
    pub epochs: usize,
    /// Of initialisation and of the order of images.
    pub seed: u64,
}

/// The learning curve of one graph. Its space and its seed make it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Label {
    /// Name of the space.
    pub space: String,
    /// Its seed there.
    pub seed: u64,
    /// Mean training loss of every epoch, in nats.
    pub loss: Vec<f32>,
    /// Share of the validation images that are classified right, after every epoch.
    pub top1: Vec<f64>,
    /// Seconds of training.
    pub seconds: f64,
    /// Why there is no curve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl Label {
    /// Accuracy in percent after the last epoch; `None` without a curve.
    pub fn accuracy(&self) -> Option<f64> {
        self.top1.last().map(|top1| 100.0 * top1)
    }
}
