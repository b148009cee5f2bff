//! Statistics of a merged network from those that its parents store.

use std::collections::BTreeMap;

use crate::{
    condition::Fitting,
    graph::{Architecture, NodeIndex, Operand, ParameterId, Weights},
    kernels::Step,
    ops::Registry,
};

use super::{MergeError, Parents, layer::Layer};

/// Corrects the variance of every batch normalisation behind a layer. What a filter returns deviates in
/// proportion to the filter's norm, on inputs that are neither correlated nor of different sizes; filters that
/// were averaged are shorter than their parents. So the deviation is the mean of the parents' deviations
/// times the merged filter's norm over the mean of theirs. Means are linear in the filters, and stay.
pub(super) fn correct(
    fitting: &Fitting,
    merged: &mut Weights,
    parents: &Parents,
) -> Result<(), MergeError> {
    let norms = norms(fitting.architecture, fitting.registry);
    if norms.is_empty() {
        return Err(MergeError::NothingStored);
    }
    for (layer, variance) in norms {
        let mut spread = vec![0.0; layer.channels()];
        let mut length = vec![0.0; layer.channels()];
        for (network, share) in parents.contributing() {
            let variances = network.get(variance).unwrap_or_default();
            for (sum, own) in spread.iter_mut().zip(variances) {
                *sum += share * f64::from(own.max(0.0)).sqrt();
            }
            for (sum, own) in length.iter_mut().zip(layer.norms(network)) {
                *sum += share * own;
            }
        }
        let norms = layer.norms(merged);
        let corrected = spread.iter().zip(&length).zip(norms).map(|((spread, length), norm)| {
            let shorter = if *length > 0.0 { norm / length } else { 1.0 };
            (spread * shorter).powi(2) as f32
        });
        merged.set(variance, corrected.collect());
    }
    Ok(())
}

/// Layers right before a batch normalisation, and the variance that is stored there.
pub(super) fn norms(architecture: &Architecture, registry: &Registry) -> Vec<(Layer, ParameterId)> {
    let layers = Layer::all(architecture, registry).into_iter();
    let layers: BTreeMap<NodeIndex, Layer> = layers.map(|layer| (layer.node, layer)).collect();
    let behind = |&index: &NodeIndex| {
        let node = &architecture.dag[index];
        let step = registry.step(architecture, node)?;
        let [Operand::Node { node: from, .. }, _, _, _, Operand::Parameter(variance)] =
            node.inputs[..]
        else {
            return None;
        };
        let layer = layers.get(&from).filter(|_| matches!(step, Step::BatchNorm { .. }))?;
        Some((layer.clone(), variance))
    };
    architecture.order.iter().filter_map(behind).collect()
}
