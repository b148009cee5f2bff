//! What follows an operator that training never met. Its weights were written for the operator that
//! stands in for it; where the two differ by about a factor and a constant, the layer that reads the
//! result can make up for both.

use std::collections::BTreeMap;

use petgraph::{Direction, visit::EdgeRef};

use crate::{
    graph::{Architecture, Layout, NodeIndex, ParameterId, Role, Weights},
    kernels::Step,
    ops::{Affine, Registry},
};

/// Layers that alone read a node's result, perhaps pooled or rearranged.
fn readers(architecture: &Architecture, registry: &Registry, node: NodeIndex) -> Vec<NodeIndex> {
    let mut found = Vec::new();
    let mut stack = vec![node];
    while let Some(node) = stack.pop() {
        for edge in architecture.dag.edges_directed(node, Direction::Outgoing) {
            let reader = edge.target();
            match registry.step(architecture, &architecture.dag[reader]) {
                Some(Step::Conv2d { .. } | Step::Linear { .. })
                    if edge.weight().destination_slot == 0 =>
                {
                    found.push(reader);
                }
                Some(
                    Step::Identity
                    | Step::Reshape
                    | Step::View { .. }
                    | Step::MaxPool { .. }
                    | Step::AveragePool { .. }
                    | Step::AdaptivePool
                    | Step::GlobalMaxPool
                    | Step::Mean { .. },
                ) => stack.push(reader),
                _ => {}
            }
        }
    }
    found
}

/// Divides the weights of every layer that reads one of the given nodes by the factor, and takes the
/// constant off its bias, if it has one.
pub(super) fn compensate(
    architecture: &Architecture,
    registry: &Registry,
    nodes: &BTreeMap<NodeIndex, Affine>,
    weights: &mut Weights,
) {
    let parameter = |node: NodeIndex, role: Role| {
        architecture.parameters.iter().enumerate().find_map(|(index, parameter)| {
            // A tied tensor has other readers, which expect it as it is.
            let [slot] = &parameter.slots[..] else { return None };
            (slot.node == node && slot.role == role).then_some((ParameterId(index), slot))
        })
    };
    for (&node, affine) in nodes {
        for reader in readers(architecture, registry, node) {
            let Some((weight, slot)) = parameter(reader, Role::Weight) else { continue };
            let shape = slot.view.as_ref().or(architecture.parameters[weight.0].shape.as_ref());
            let Some(shape) = shape else { continue };
            let Some(values) = weights.get_mut(weight) else { continue };
            values.iter_mut().for_each(|value| *value /= affine.factor);
            let mut sums = match (slot.layout, &shape[..]) {
                (Layout::OutIn, [outputs, ..]) => vec![0.0f32; *outputs],
                (Layout::InOut, [_, outputs]) => vec![0.0f32; *outputs],
                _ => continue,
            };
            let count = sums.len().max(1);
            let each = values.len() / count;
            for (index, value) in values.iter().enumerate() {
                let output =
                    if slot.layout == Layout::OutIn { index / each } else { index % count };
                sums[output] += value;
            }
            if let Some((bias, _)) = parameter(reader, Role::Bias)
                && let Some(values) = weights.get_mut(bias).filter(|it| it.len() == sums.len())
            {
                for (bias, sum) in values.iter_mut().zip(&sums) {
                    *bias -= affine.offset * sum;
                }
            }
        }
    }
}
