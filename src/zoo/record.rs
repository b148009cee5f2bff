//! What is known of one checkpoint.

use serde::{Deserialize, Serialize};

use super::{Descent, Training};

/// One checkpoint: where it comes from, how good it is, and where its values are.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Record {
    /// See [`Architecture::fingerprint`](crate::graph::Architecture::fingerprint).
    pub fingerprint: u64,
    /// Where the graph is to be had.
    pub origin: Origin,
    /// How it was trained; `None` where nobody knows.
    pub recipe: Option<Recipe>,
    /// Training steps that the parent's weights are behind.
    pub step: u64,
    /// SHA-256 of the decoded training images and labels; empty where nobody knows.
    pub data_hash: String,
    /// What its first weights came from; `None` for networks from elsewhere.
    pub lineage: Option<Lineage>,
    /// Its file and what that was made of; `None` for checkpoints that grew in a zoo.
    pub descent: Option<Descent>,
    /// Mean over the last training steps before the snapshot; `None` without any.
    pub train: Option<Score>,
    /// On images that were not trained on, in inference mode, as the weights are stored.
    pub validation: Option<Score>,
    /// SPDX expression of the licence of the weights.
    pub licence: String,
    /// Stored values.
    pub parameters: u64,
    /// SHA-256 of the tensor file, 64 lower-case hexadecimal digits; also its name.
    pub tensors: String,
    /// How far the weights were from the gauge after they had been brought into it; `None` for
    /// those that grew in it.
    pub alignment: Option<f64>,
}

/// Where a graph is to be had.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Drawn from a search space.
    Space {
        /// A file, or the name of a built-in one.
        space: String,
        /// The seed it was drawn with.
        seed: u64,
    },
    /// A file that somebody brought.
    File(String),
}

/// How a checkpoint was trained.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recipe {
    /// Optimiser, schedule and images.
    pub training: Training,
    /// Steps of the whole run, over which the schedule goes.
    pub steps: u64,
    /// Seed of images and their order.
    pub seed: u64,
}

/// The predictor that wrote the weights that training started from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Lineage {
    /// Its folder, or the name of a bundled one.
    pub predictor: String,
    /// SHA-256 of its two files.
    pub hash: String,
}

/// How good a network is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Score {
    /// Mean cross-entropy, in nats.
    pub loss: f64,
    /// Share of images that are told right.
    pub accuracy: f64,
}
