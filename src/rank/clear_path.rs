//! How much of a network every path has to pass that keeps the image's extent and learns no spatial
//! mixing.

use crate::{
    graph::{Architecture, NodeIndex},
    ops::{Features, OperatorFamily},
};

use super::paths::{shortest, sources};

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
        let mut makers = sources(architecture, index).map(|node| source[node.index()]);
        let before = makers.next().flatten().filter(|_| makers.next().is_none());
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
    let lengths: Vec<usize> = lone.into_iter().map(usize::from).collect();
    shortest(architecture, nodes, &lengths)
}
