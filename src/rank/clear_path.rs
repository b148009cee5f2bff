//! How much of a network every path has to pass that keeps the image's extent and learns no spatial
//! mixing.

use crate::{
    graph::{Architecture, NodeIndex, Operand},
    ops::{Features, OperatorFamily},
};

/// What a live node does to an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mixing {
    /// Nothing that counts here.
    Other,
    /// A pool that keeps the extent.
    Pool,
    /// A convolution of single pixels that keeps the extent.
    Pointwise,
    /// A convolution in groups of channels, which needs a pointwise one beside it.
    Grouped,
    /// Any other convolution.
    Convolution,
}

impl Mixing {
    pub(super) fn of(family: OperatorFamily, geometry: Features) -> Self {
        let keeps_extent = geometry.stride == [1, 1];
        match (family, geometry.kernel == [1, 1]) {
            (OperatorFamily::Pooling, false) if keeps_extent => Self::Pool,
            (OperatorFamily::Convolution, true) if keeps_extent => Self::Pointwise,
            (OperatorFamily::Convolution, false) if geometry.groups > 1 => Self::Grouped,
            (OperatorFamily::Convolution, _) => Self::Convolution,
            _ => Self::Other,
        }
    }
}

/// The fewest pools and lone pointwise convolutions that a path from an input to an output meets.
/// `nodes` are the live nodes in order, `mixing` what each node of the graph does, by index.
pub(super) fn obstacles(
    architecture: &Architecture,
    nodes: &[NodeIndex],
    mixing: &[Mixing],
) -> usize {
    let mut lone: Vec<bool> =
        mixing.iter().map(|it| matches!(it, Mixing::Pool | Mixing::Pointwise)).collect();
    // The convolution whose result a node passes on, through nodes that read nothing else.
    let mut source: Vec<Option<NodeIndex>> = vec![None; mixing.len()];
    for &index in nodes {
        let mut sources = data(architecture, index).map(|node| source[node.index()]);
        let before = sources.next().flatten().filter(|_| sources.next().is_none());
        let own = mixing[index.index()];
        if let Some(before) = before {
            match (mixing[before.index()], own) {
                (Mixing::Pointwise, Mixing::Grouped) => lone[before.index()] = false,
                (Mixing::Grouped, Mixing::Pointwise) => lone[index.index()] = false,
                _ => {}
            }
        }
        source[index.index()] = match own {
            Mixing::Other => before,
            Mixing::Pool => None,
            _ => Some(index),
        };
    }
    let mut fewest: Vec<Option<usize>> = vec![None; mixing.len()];
    for &index in nodes {
        let fed = architecture.dag[index].inputs.iter().any(|it| matches!(it, Operand::Input(_)));
        let before = data(architecture, index).filter_map(|node| fewest[node.index()]).min();
        let before = if fed { Some(0) } else { before };
        fewest[index.index()] = before.map(|count| count + usize::from(lone[index.index()]));
    }
    let ends = architecture.outputs.iter().filter_map(|(_, operand)| match operand {
        Operand::Node { node, .. } => fewest[node.index()],
        _ => None,
    });
    ends.min().unwrap_or(0)
}

/// The nodes that a node reads.
fn data(architecture: &Architecture, index: NodeIndex) -> impl Iterator<Item = NodeIndex> {
    architecture.dag[index].inputs.iter().filter_map(|operand| match operand {
        Operand::Node { node, .. } => Some(*node),
        _ => None,
    })
}
