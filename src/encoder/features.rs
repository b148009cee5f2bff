//! What the encoder is told about each node.

use petgraph::Direction;

use crate::{
    graph::{Architecture, CANONICAL_DOMAIN, NodeIndex, Operand},
    ops::{Registry, Vocabulary},
};

use super::{
    NodeEncoder,
    flattened::{flattened_positions, flattens},
};

/// Number of numeric features of a node; see [`NodeFeatures::numeric`].
pub const NUMERIC: usize = 32;

/// Those of the numeric features that say where in the graph a node stands: its depths and degrees.
pub(super) const POSITIONS: std::ops::Range<usize> = 20..28;

/// Signed distances beyond this many edges share a bucket.
const EXACT: usize = 12;
/// Longest shortest path that is told from "unrelated" (the cut-off of GHN-2's virtual edges).
const CUTOFF: u16 = 50;
/// Distance buckets of one direction: exact ones, then 13–16, 17–24, 25–36, 37–50.
const ONE_WAY: usize = EXACT + 4;

/// Plain numbers about the nodes of one architecture that carry data.
///
/// Nodes that only compute shapes or only transform a parameter are left out: they hold no place
/// where weights belong.
#[derive(Clone, Debug)]
pub struct NodeFeatures {
    /// The nodes, in topological order.
    pub nodes: Vec<NodeIndex>,
    /// Operator of each node, as an index into the vocabulary (its length for unknown operators).
    pub operators: Vec<usize>,
    /// `nodes × NUMERIC`, row-major: logarithms of kernel, stride, dilation, groups, channels and
    /// resolution; depth from the input and to the output; degrees; flags.
    pub numeric: Vec<f32>,
    /// `nodes × nodes`, row-major: bucket of the signed distance from row to column.
    pub relations: Vec<u8>,
    /// `nodes × further features`, row-major; empty without a [`NodeEncoder`].
    pub further: Vec<f32>,
}

impl NodeFeatures {
    /// Number of relation buckets: self, ahead, behind, unrelated.
    pub const RELATIONS: usize = 2 * ONE_WAY + 2;

    /// Reads the features of a resolved architecture.
    pub fn read(architecture: &Architecture, registry: &Registry, vocabulary: &Vocabulary) -> Self {
        let nodes = data_nodes(architecture);
        let distances = architecture.distances(CUTOFF);
        let operators = nodes
            .iter()
            .map(|&index| {
                let node = &architecture.dag[index];
                let (domain, op_type) = match (node.domain.as_str(), node.op_type.as_str()) {
                    _ if flattens(architecture, index) => ("", "GlobalAveragePool"),
                    (CANONICAL_DOMAIN, "AdaptiveAveragePool") => ("", "AveragePool"),
                    own => own,
                };
                vocabulary.index(domain, op_type).unwrap_or(vocabulary.len())
            })
            .collect();
        let deepest = nodes.iter().map(|&n| distances.depth_from_input(n)).max().unwrap_or(0);
        let mut numeric = Vec::with_capacity(nodes.len() * NUMERIC);
        for &index in &nodes {
            let from = distances.depth_from_input(index) as f32;
            let to = distances.depth_to_output(index) as f32;
            let row = describe(architecture, registry, index, [from, to, deepest as f32]);
            numeric.extend(row);
        }
        let mut relations = Vec::with_capacity(nodes.len() * nodes.len());
        for &row in &nodes {
            for &column in &nodes {
                let ahead = distances.shortest(row, column);
                let behind = distances.shortest(column, row);
                relations.push(relation(ahead, behind));
            }
        }
        Self { nodes, operators, numeric, relations, further: Vec::new() }
    }

    /// The same with the features of a [`NodeEncoder`].
    pub fn with_further(
        mut self,
        architecture: &Architecture,
        registry: &Registry,
        encoder: &dyn NodeEncoder,
    ) -> Self {
        let width = encoder.names().len();
        self.further = vec![0.0; self.nodes.len() * width];
        for (&node, features) in self.nodes.iter().zip(self.further.chunks_mut(width.max(1))) {
            encoder.encode(architecture, registry, node, features);
            for value in features {
                *value = if value.is_nan() { 0.0 } else { value.clamp(-8.0, 8.0) };
            }
        }
        self
    }

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether no node carries data.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }
}

/// Nodes that a data input reaches and whose results are not all known statically.
pub fn data_nodes(architecture: &Architecture) -> Vec<NodeIndex> {
    let mut reached = vec![false; architecture.dag.node_count()];
    let mut nodes = Vec::new();
    for &index in &architecture.order {
        let node = &architecture.dag[index];
        let fed = node.inputs.iter().any(|operand| match operand {
            Operand::Input(_) => true,
            Operand::Node { node, .. } => reached[node.index()],
            _ => false,
        });
        let folded =
            !node.outputs.is_empty() && node.outputs.iter().all(|output| output.value.is_some());
        if fed && !folded {
            reached[index.index()] = true;
            nodes.push(index);
        }
    }
    nodes
}

fn describe(
    architecture: &Architecture,
    registry: &Registry,
    index: NodeIndex,
    [from, to, deepest]: [f32; 3],
) -> [f32; NUMERIC] {
    let node = &architecture.dag[index];
    let facts: Vec<_> = node.inputs.iter().map(|&operand| architecture.fact(operand)).collect();
    let geometry = registry
        .get(&node.domain, &node.op_type)
        .map(|operator| operator.features(node, &facts))
        .unwrap_or_default();
    let mut input = image_extent(facts.first().and_then(|fact| fact.as_ref()?.shape.as_deref()));
    let mut output = image_extent(node.outputs.first().and_then(|fact| fact.shape.as_deref()));
    let read = node.inputs.first().map_or(1, |&value| flattened_positions(architecture, value));
    input[0] /= read;
    output[0] /= flattened_positions(architecture, Operand::Node { node: index, slot: 0 });
    let degree = |direction| architecture.dag.edges_directed(index, direction).count() as f32;
    let slots: Vec<_> = architecture
        .parameters
        .iter()
        .flat_map(|parameter| parameter.slots.iter().map(move |slot| (parameter, slot)))
        .filter(|(_, slot)| slot.node == index)
        .collect();
    let values = slots.iter().filter_map(|(parameter, _)| parameter.len()).sum::<usize>() / read;
    let fan_in = slots.iter().map(|(_, slot)| slot.fan_in).max().unwrap_or(0) / read;
    let log = |value: usize| (1.0 + value as f32).ln();
    let is = |condition: bool| if condition { 1.0 } else { 0.0 };
    let [kernel_height, kernel_width] = geometry.kernel;
    let groups = geometry.groups;
    [
        log(kernel_height),
        log(kernel_width),
        is(kernel_height == 1 && kernel_width == 1),
        is(kernel_height == 3),
        is(kernel_height == 5),
        is(kernel_height >= 7),
        log(geometry.stride[0]),
        log(geometry.stride[1]),
        is(geometry.stride[0] >= 2),
        log(geometry.dilation[0]),
        log(groups) / 4.0,
        is(groups > 1 && groups == input[0]),
        is(groups > 1 && groups != input[0]),
        log(input[0]) / 4.0,
        log(output[0]) / 4.0,
        output[0] as f32 / 64.0,
        input[0] as f32 / 64.0,
        log(input[1]) / 4.0,
        log(output[1]) / 4.0,
        log(output[2]) / 4.0,
        from / 50.0,
        (1.0 + from).ln() / 4.0,
        to / 50.0,
        (1.0 + to).ln() / 4.0,
        from / (from + to).max(1.0),
        deepest / 50.0,
        degree(Direction::Incoming) / 2.0,
        degree(Direction::Outgoing) / 2.0,
        is(!slots.is_empty()),
        log(values) / 10.0,
        log(fan_in) / 6.0,
        is(node.inputs.iter().any(|operand| matches!(operand, Operand::Input(_)))),
    ]
    .map(|value: f32| value.min(8.0))
}

/// Channels, height and width of an activation; 1 for axes it does not have, 0 where unknown.
fn image_extent(shape: Option<&[usize]>) -> [usize; 3] {
    match shape {
        None => [0; 3],
        Some(shape) => std::array::from_fn(|axis| shape.get(axis + 1).copied().unwrap_or(1)),
    }
}

fn relation(ahead: Option<u16>, behind: Option<u16>) -> u8 {
    let bucket = |distance: u16| match distance as usize {
        distance if distance <= EXACT => distance - 1,
        13..=16 => EXACT,
        17..=24 => EXACT + 1,
        25..=36 => EXACT + 2,
        _ => EXACT + 3,
    };
    let relation = match (ahead, behind) {
        (Some(0), _) => 0,
        (Some(distance), _) => 1 + bucket(distance),
        (_, Some(distance)) => 1 + ONE_WAY + bucket(distance),
        (None, None) => 1 + 2 * ONE_WAY,
    };
    relation as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relations_tell_direction_and_distance() {
        let all: Vec<u8> = [
            (Some(0), Some(0)),
            (Some(1), None),
            (Some(50), None),
            (None, Some(1)),
            (None, Some(50)),
            (None, None),
        ]
        .into_iter()
        .map(|(ahead, behind)| relation(ahead, behind))
        .collect();
        assert_eq!(all, [0, 1, 16, 17, 32, 33]);
        assert_eq!(*all.last().unwrap() as usize + 1, NodeFeatures::RELATIONS);
    }
}
