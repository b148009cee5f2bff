//! What an encoder is.

use serde::{Deserialize, Serialize};

/// Sizes of the graph encoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncoderConfig {
    /// Width of a node token.
    pub width: usize,
    /// Attention heads; divides the width.
    pub heads: usize,
    /// Transformer blocks.
    pub layers: usize,
    /// Names of the features that a [`super::NodeEncoder`] gives beside those of every node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further: Vec<String>,
    /// Whether nodes hear of each other. Without, there are no blocks: a token is what its own node's
    /// features say, which makes the predictor an MLP from node features to weights, the baseline
    /// that the worth of the graph is measured against (Zhang et al. 2019, *Graph HyperNetworks*).
    #[serde(default = "on", skip_serializing_if = "is_on")]
    pub message_passing: bool,
    /// Whether a node is told its depths and degrees, which are read off the graph. Without these and
    /// without messages nothing of the graph is left in a token.
    #[serde(default = "on", skip_serializing_if = "is_on")]
    pub positions: bool,
}

fn on() -> bool {
    true
}

fn is_on(switch: &bool) -> bool {
    *switch
}

impl Default for EncoderConfig {
    fn default() -> Self {
        Self {
            width: 128,
            heads: 8,
            layers: 3,
            further: Vec::new(),
            message_passing: true,
            positions: true,
        }
    }
}
