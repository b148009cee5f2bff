//! The colours of a drawing of what a predictor will do.

use crate::{
    graph::{Architecture, Ink, Node, Paint, ParameterId},
    ops::{Operator, OperatorFamily, Registry},
};

use super::{ValueSource, expected};

/// Nodes in the colours of their families, parameters in those of how any predictor will fill them.
pub struct ByFilling<'a> {
    registry: &'a Registry,
    labels: Vec<ValueSource>,
}

impl<'a> ByFilling<'a> {
    /// Of a resolved architecture.
    pub fn new(architecture: &Architecture, registry: &'a Registry) -> Self {
        let labels = expected(architecture, |id| architecture.holds_value(id));
        Self { registry, labels }
    }
}

impl Paint for ByFilling<'_> {
    fn node(&self, node: &Node) -> Option<Ink> {
        let ink = |name, colour| Some(Ink { name, colour });
        match self.registry.find(node).ok().map(Operator::family)? {
            OperatorFamily::Convolution => ink("convolution", "#1f4e9e"),
            OperatorFamily::Linear => ink("linear", "#4a3aa7"),
            OperatorFamily::Attention => ink("attention", "#8a2d9c"),
            OperatorFamily::Normalisation => ink("normalisation", "#2f8f83"),
            OperatorFamily::Activation => ink("activation", "#c9790f"),
            OperatorFamily::Pooling | OperatorFamily::Reduction => {
                ink("pooling, reduction", "#5b8c2a")
            }
            OperatorFamily::Arithmetic => ink("arithmetic", "#a8476b"),
            OperatorFamily::Shape | OperatorFamily::Constant | OperatorFamily::Other => {
                ink("shape and others", "#8c8c8c")
            }
        }
    }

    fn parameter(&self, parameter: ParameterId) -> Ink {
        let ink = |name, colour| Ink { name, colour };
        match &self.labels[parameter.0] {
            ValueSource::Predicted
            | ValueSource::Solved
            | ValueSource::Trained
            | ValueSource::Merged => ink("weights: predicted", "#2b6fd6"),
            ValueSource::Calibrated | ValueSource::Default => ink("weights: measured", "#1c9a5b"),
            ValueSource::Kept => ink("weights: kept", "#777777"),
            ValueSource::Skipped(_) => ink("weights: skipped", "#d62728"),
        }
    }
}
