//! Which part of a graph matters: nodes on a way from an input to an output that no factor of zero
//! interrupts. A convolution whose result meets nothing but zeros is dead, however many parameters
//! it has.

use crate::{
    graph::{Architecture, NodeIndex, Operand, Parameter, Role},
    ops::Registry,
};

use super::{
    clear_path::{Mixing, obstacles},
    paths::{longest, shortest},
};

/// The live part of a resolved architecture, in numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Live {
    /// Live nodes, in order.
    pub nodes: Vec<NodeIndex>,
    /// By index, nodes that compute from the input and return the same whatever it is.
    pub(super) constant: Vec<bool>,
    /// Nodes that compute from the input and do not matter.
    pub dead: usize,
    /// Learned values that live nodes read; running statistics are not learned.
    pub parameters: u64,
    /// Multiply-accumulates of one run.
    pub multiply_accumulates: u64,
    /// Live nodes with weights, in order.
    pub layers: Vec<NodeIndex>,
    /// Those among them whose windows are larger than a pixel.
    pub spatial_layers: usize,
    /// Convolutions among them that come after others.
    pub inner_spatial_layers: usize,
    /// Live pooling nodes that keep the extent of the image: they mix pixels, and learn nothing.
    pub inner_pools: usize,
    /// The fewest nodes on a path that keep the extent of the image and learn no spatial mixing: pools,
    /// and pointwise convolutions that do not stand beside a depthwise one.
    pub obstacles: usize,
    /// The most layers on any path.
    pub depth: usize,
    /// The fewest layers on any path from an input to an output.
    pub shortest: usize,
    /// The fewest layers on any such path whose windows are larger than a pixel.
    pub shortest_spatial: usize,
    /// Mean of the binary logarithms of the layers' output channels; zero without layers.
    pub log_width: f64,
    /// The same of the pixels, or tokens, that they return.
    pub log_resolution: f64,
    /// Values that the layers return for one image.
    pub activations: u64,
    /// Values that each output of the last layer is computed from.
    pub head_width: usize,
}

impl Live {
    /// Measures a resolved architecture.
    pub fn of(architecture: &Architecture, registry: &Registry) -> Self {
        let count = architecture.dag.node_count();
        let reads = |operand: &Operand, nodes: &[bool]| match operand {
            Operand::Input(_) => true,
            Operand::Node { node, .. } => nodes[node.index()],
            _ => false,
        };
        let (mut computed, mut fed) = (vec![false; count], vec![false; count]);
        for &index in &architecture.order {
            let node = &architecture.dag[index];
            let known =
                !node.outputs.is_empty() && node.outputs.iter().all(|it| it.value.is_some());
            let any = |nodes: &[bool]| node.inputs.iter().any(|operand| reads(operand, nodes));
            computed[index.index()] = !known && any(&computed);
            fed[index.index()] = !known && !multiplies_by_zero(architecture, index) && any(&fed);
        }
        let mut live = vec![false; count];
        let mut stack: Vec<Operand> = architecture.outputs.iter().map(|(_, it)| *it).collect();
        while let Some(operand) = stack.pop() {
            if let Operand::Node { node, .. } = operand
                && fed[node.index()]
                && !std::mem::replace(&mut live[node.index()], true)
            {
                stack.extend(&architecture.dag[node].inputs);
            }
        }
        let nodes: Vec<NodeIndex> =
            architecture.order.iter().copied().filter(|node| live[node.index()]).collect();
        let dead = architecture.order.iter();
        let dead = dead.filter(|it| computed[it.index()] && !live[it.index()]).count();
        let constant = computed.iter().zip(&fed).map(|(computed, fed)| *computed && !fed).collect();
        let (mut weighted, mut spatial, mut spatial_layers) = (vec![0; count], vec![0; count], 0);
        let mut fan_in = vec![0; count];
        let mut inner_spatial_layers = 0;
        let mut extents = Vec::new();
        let mut parameters = 0u64;
        for parameter in &architecture.parameters {
            let used = parameter.slots.iter().find(|slot| live[slot.node.index()]);
            let Some(slot) = used else { continue };
            if !slot.role.is_statistic() {
                parameters = parameters.saturating_add(parameter.len().unwrap_or(0) as u64);
            }
            for slot in parameter.slots.iter().filter(|slot| slot.role == Role::Weight) {
                if live[slot.node.index()]
                    && std::mem::replace(&mut weighted[slot.node.index()], 1) == 0
                {
                    let is_spatial = is_spatial(parameter);
                    spatial[slot.node.index()] = usize::from(is_spatial);
                    spatial_layers += usize::from(is_spatial);
                    fan_in[slot.node.index()] = slot.fan_in;
                    let first = architecture.dag[slot.node]
                        .inputs
                        .iter()
                        .any(|operand| matches!(operand, Operand::Input(_)));
                    inner_spatial_layers += usize::from(is_spatial && !first);
                    extents.push(extent(architecture, slot.node));
                }
            }
        }
        let facts = |index: NodeIndex| -> Vec<_> {
            let inputs = &architecture.dag[index].inputs;
            inputs.iter().map(|it| architecture.fact(*it)).collect()
        };
        let mut mixing = vec![Mixing::Other; count];
        for &index in &nodes {
            let node = &architecture.dag[index];
            if let Ok(known) = registry.find(node) {
                mixing[index.index()] =
                    Mixing::of(known.family(), known.features(node, &facts(index)));
            }
        }
        let inner_pools = mixing.iter().filter(|it| **it == Mixing::Pool).count();
        let obstacles = obstacles(architecture, &nodes, &mixing);
        let work = nodes.iter().map(|&index| {
            let node = &architecture.dag[index];
            let facts = facts(index);
            registry.find(node).map_or(0, |known| known.multiply_accumulates(node, &facts))
        });
        let multiply_accumulates = work.fold(0, u64::saturating_add);
        let layers = nodes.iter().copied().filter(|it| weighted[it.index()] > 0).collect();
        let depth = longest(architecture, &nodes, &weighted);
        let path = |length: &[usize]| shortest(architecture, &nodes, length);
        let (shortest, shortest_spatial) = (path(&weighted), path(&spatial));
        let mean_log = |side: usize| {
            let logs = extents.iter().map(|extent| (extent[side].max(1) as f64).log2());
            logs.sum::<f64>() / extents.len().max(1) as f64
        };
        let fans = nodes.iter().rev().map(|node| fan_in[node.index()]);
        let head_width = fans.into_iter().find(|fan_in| *fan_in > 0).unwrap_or(0);
        let activations = extents.iter().map(|[width, positions]| (width * positions) as u64).sum();
        Self {
            nodes,
            constant,
            dead,
            parameters,
            multiply_accumulates,
            layers,
            spatial_layers,
            inner_spatial_layers,
            inner_pools,
            obstacles,
            depth,
            shortest,
            shortest_spatial,
            log_width: mean_log(0),
            log_resolution: mean_log(1),
            activations,
            head_width,
        }
    }
}

fn multiplies_by_zero(architecture: &Architecture, index: NodeIndex) -> bool {
    let node = &architecture.dag[index];
    node.op_type == "Mul"
        && node.inputs.iter().any(|&operand| {
            let value = architecture.fact(operand).and_then(|fact| fact.value);
            let floats = value.as_ref().and_then(|value| value.floats());
            floats.is_some_and(|values| values.iter().all(|value| *value == 0.0))
        })
}

fn is_spatial(parameter: &Parameter) -> bool {
    let shape = parameter.shape.as_deref().unwrap_or_default();
    shape.get(2..).is_some_and(|window| window.iter().any(|&side| side > 1))
}

/// Channels and pixels of an image; features of anything else, and how many such vectors there are.
fn extent(architecture: &Architecture, node: NodeIndex) -> [usize; 2] {
    let shape = architecture.fact(Operand::Node { node, slot: 0 }).and_then(|fact| fact.shape);
    match shape.as_deref() {
        Some([_, channels, height, width]) => [*channels, height * width],
        Some([_, between @ .., features]) => [*features, between.iter().product()],
        _ => [1, 1],
    }
}
