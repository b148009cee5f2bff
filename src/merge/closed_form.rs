//! Statistics of a merged network from those that its parents store.

use std::collections::BTreeMap;

use crate::{
    condition::Fitting,
    graph::{NodeIndex, Operand, Weights},
    kernels::Step,
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
    let Fitting { architecture, registry, .. } = *fitting;
    let layers = Layer::all(architecture, registry);
    let layers: BTreeMap<NodeIndex, &Layer> =
        layers.iter().map(|layer| (layer.node, layer)).collect();
    let mut found = false;
    for &index in &architecture.order {
        let node = &architecture.dag[index];
        let step = registry.step(architecture, node);
        let (
            Some(Step::BatchNorm { .. }),
            [Operand::Node { node: from, .. }, _, _, _, Operand::Parameter(variance)],
        ) = (step, &node.inputs[..])
        else {
            continue;
        };
        let Some(layer) = layers.get(from) else { continue };
        found = true;
        let mut spread = vec![0.0; layer.channels()];
        let mut length = vec![0.0; layer.channels()];
        for (network, share) in parents.networks.iter().zip(parents.shares) {
            let variances = network.get(*variance).unwrap_or_default();
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
        merged.set(*variance, corrected.collect());
    }
    if found { Ok(()) } else { Err(MergeError::NothingStored) }
}
