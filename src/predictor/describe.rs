//! What a graph is like to a predictor, and what to expect of its prediction.

use crate::{encoder::NodeBatch, graph::Architecture, neural::download, ops::Registry};

use super::{Descriptor, Outlook, Predictor, PredictorError, Quantity};

impl Predictor {
    /// What a resolved architecture is like.
    pub fn describe(
        &self,
        architecture: &Architecture,
        registry: &Registry,
    ) -> Result<Descriptor, PredictorError> {
        let mut features = self.features(architecture, registry)?;
        let (network, ..) = self.acquaint(architecture, registry, &mut features);
        let mut token = vec![0.0; self.config.network.encoder.width];
        if !features.is_empty() {
            let tokens =
                download(network.tokens(&NodeBatch::new(&[&features], &self.device), None));
            // Behind the nodes stands padding.
            for row in tokens.chunks(token.len()).take(features.len()) {
                for (mean, value) in token.iter_mut().zip(row) {
                    *mean += value / features.len() as f32;
                }
            }
        }
        let output = architecture.outputs.first();
        let output = output.and_then(|(_, operand)| architecture.fact(*operand)?.shape);
        let sizes = Quantity::of(architecture, registry);
        let outputs = output.and_then(|shape| {
            shape.iter().skip(1).try_fold(1usize, |count, &extent| count.checked_mul(extent))
        });
        Ok(Descriptor { token, sizes, outputs })
    }

    /// What to expect of a prediction for a resolved architecture; `None` of a predictor without an
    /// [`OutlookTable`](super::OutlookTable).
    pub fn outlook(
        &self,
        architecture: &Architecture,
        registry: &Registry,
    ) -> Result<Option<Outlook>, PredictorError> {
        let Some(table) = &self.outlook_table else { return Ok(None) };
        let descriptor = self.describe(architecture, registry)?;
        Ok(Some(table.outlook(&descriptor, self.config.classes.len())))
    }
}
