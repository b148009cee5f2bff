//! Activations of a merged network with the moments that its parents have on average.

use crate::{
    condition::Fitting,
    graph::{Architecture, Weights},
    kernels::Step,
    ops::Registry,
};

use super::{
    MergeError, Parents,
    layer::{Layer, readers},
    probe::{EPSILON, Moments, Probed},
};

/// Sets mean and deviation of every channel that no batch normalisation sets to the means of the parents', by
/// a factor and a constant in the weight and the bias of its layer. All layers are measured in one pass,
/// each behind those before it as they will be.
pub(super) fn rescale(
    fitting: &Fitting,
    merged: &mut Weights,
    parents: &Parents,
) -> Result<(), MergeError> {
    let layers = free_layers(fitting.architecture, fitting.registry);
    if layers.is_empty() {
        return Ok(());
    }
    let goals = goals(fitting, &layers, parents)?;
    let behind = Probed::behind(fitting.architecture, &layers);
    let measured = behind.moments(fitting, merged, &goals)?;
    for ((layer, goal), measured) in layers.iter().zip(&goals).zip(&measured) {
        let spread = measured.deviation.iter().map(|own| (own * own + EPSILON).sqrt());
        let factors: Vec<f32> =
            goal.deviation.iter().zip(spread).map(|(goal, own)| goal / own).collect();
        let shifted = goal.mean.iter().zip(&measured.mean).zip(&factors);
        let constants: Vec<f32> =
            shifted.map(|((goal, own), factor)| goal - own * factor).collect();
        layer.transform(merged, &factors, &constants);
    }
    Ok(())
}

/// Means over the parents, by their shares.
pub(super) fn goals(
    fitting: &Fitting,
    layers: &[Layer],
    parents: &Parents,
) -> Result<Vec<Moments>, MergeError> {
    let beside = Probed::beside(fitting.architecture, layers);
    let standard: Vec<Moments> =
        layers.iter().map(|layer| Moments::standard(layer.channels())).collect();
    let nothing = |layer: &Layer| Moments {
        mean: vec![0.0; layer.channels()],
        deviation: vec![0.0; layer.channels()],
    };
    let mut goals: Vec<Moments> = layers.iter().map(nothing).collect();
    for (network, share) in parents.contributing() {
        let moments = beside.moments(fitting, network, &standard)?;
        for (goal, own) in goals.iter_mut().zip(&moments) {
            let pairs = [(&mut goal.mean, &own.mean), (&mut goal.deviation, &own.deviation)];
            for (goal, own) in pairs {
                goal.iter_mut().zip(own).for_each(|(goal, own)| *goal += share as f32 * own);
            }
        }
    }
    Ok(goals)
}

/// Layers whose channels nothing else sets: with a bias, read by others than batch normalisations, and not
/// the last one.
pub(super) fn free_layers(architecture: &Architecture, registry: &Registry) -> Vec<Layer> {
    let normalises = |&reader: &_| {
        let step = registry.step(architecture, &architecture.dag[reader]);
        matches!(step, Some(Step::BatchNorm { .. }))
    };
    let free = |layer: &Layer| {
        let readers = readers(architecture, layer.node);
        let along_rows = layer.channel_axis == 1;
        along_rows && layer.bias.is_some() && !readers.is_empty() && !readers.iter().all(normalises)
    };
    Layer::all(architecture, registry).into_iter().filter(free).collect()
}
