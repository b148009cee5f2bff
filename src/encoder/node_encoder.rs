//! Further numbers about nodes, from outside this crate.

use std::fmt::Debug;

use crate::{
    graph::{Architecture, NodeIndex},
    ops::Registry,
};

use super::EncoderConfig;

/// Features of nodes that the encoder does not read by itself, such as a measured latency.
///
/// A predictor that is trained with them ([`crate::train::RunOptions::node_encoder`]) lists their
/// names in [`EncoderConfig::further`], and needs the same features ever after
/// ([`crate::predictor::Predictor::node_encoder`]). `examples/node_encoder.rs` is a complete one.
pub trait NodeEncoder: Debug + Send + Sync {
    /// A name for each feature, the same for every graph.
    fn names(&self) -> Vec<String>;

    /// Writes the features of one node of a resolved architecture into `features`, which holds a
    /// zero for each name. Values of about unit size train best; values beyond ±8 are cut off, and
    /// those that are not numbers count as zero.
    fn encode(
        &self,
        architecture: &Architecture,
        registry: &Registry,
        node: NodeIndex,
        features: &mut [f32],
    );
}

/// A node encoder that gives other features than a predictor reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the predictor reads further node features ({}), its node encoder gives others ({})",
    list(.wanted),
    list(.given)
)]
pub struct OtherFeatures {
    /// What the predictor reads.
    pub wanted: Vec<String>,
    /// What the node encoder gives.
    pub given: Vec<String>,
}

fn list(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        names => names.join(", "),
    }
}

impl EncoderConfig {
    /// Whether a node encoder, or none, gives the features that are asked for.
    pub fn check(&self, encoder: Option<&dyn NodeEncoder>) -> Result<(), OtherFeatures> {
        let given = encoder.map(NodeEncoder::names).unwrap_or_default();
        if given == self.further {
            return Ok(());
        }
        Err(OtherFeatures { wanted: self.further.clone(), given })
    }
}
