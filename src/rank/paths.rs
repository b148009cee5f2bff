//! Longest and shortest ways through the live part of a graph.

use crate::graph::{Architecture, NodeIndex, Operand};

/// The most length on any path: `nodes` are the live nodes in order, `length` what each node of the graph
/// counts, by index.
pub(super) fn longest(architecture: &Architecture, nodes: &[NodeIndex], length: &[usize]) -> usize {
    let mut ends = vec![0; length.len()];
    for &index in nodes {
        let before = sources(architecture, index).map(|node| ends[node.index()]);
        ends[index.index()] = before.max().unwrap_or(0) + length[index.index()];
    }
    ends.into_iter().max().unwrap_or(0)
}

/// The least length of any path from an input to an output; zero where there is none.
pub(super) fn shortest(
    architecture: &Architecture,
    nodes: &[NodeIndex],
    length: &[usize],
) -> usize {
    let mut ends: Vec<Option<usize>> = vec![None; length.len()];
    for &index in nodes {
        let fed = architecture.dag[index].inputs.iter().any(|it| matches!(it, Operand::Input(_)));
        let before = sources(architecture, index).filter_map(|node| ends[node.index()]).min();
        let before = if fed { Some(0) } else { before };
        ends[index.index()] = before.map(|before| before + length[index.index()]);
    }
    let outputs = architecture.outputs.iter().filter_map(|(_, operand)| match operand {
        Operand::Node { node, .. } => ends[node.index()],
        _ => None,
    });
    outputs.min().unwrap_or(0)
}

/// Whether a node adds nodes, and no weight or constant, to each other.
pub(super) fn is_sum(architecture: &Architecture, index: NodeIndex) -> bool {
    let node = &architecture.dag[index];
    node.op_type == "Add" && node.inputs.iter().all(|it| matches!(it, Operand::Node { .. }))
}

/// The nodes that a node reads.
pub(super) fn sources(
    architecture: &Architecture,
    index: NodeIndex,
) -> impl Iterator<Item = NodeIndex> {
    architecture.dag[index].inputs.iter().filter_map(|operand| match operand {
        Operand::Node { node, .. } => Some(*node),
        _ => None,
    })
}
