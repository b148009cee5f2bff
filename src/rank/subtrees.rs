//! What a graph is made of: the subtree patterns of Weisfeiler and Lehman (Shervashidze et al. 2011), by which
//! NAS-BOWL compares architectures (Ru et al. 2021).

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::{
    graph::{Architecture, NodeIndex, Operand},
    onnx::leading,
    ops::{OperatorFamily, Registry},
};

use super::{
    Live,
    paths::{is_sum, sources},
};

/// How often each pattern occurs, by its hash.
pub type Occurrences = BTreeMap<u64, u32>;

/// The patterns of one graph: the same for isomorphic graphs. Nodes that normalise, bend or rearrange values are
/// passed through, a sum of sums is one; channels and strides are not told apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subtrees {
    /// By kind: single operators, operators at a place of the network (the extent of what they return), and either
    /// with the operators that they read.
    pub kinds: [Occurrences; 4],
}

impl Subtrees {
    /// Counts the patterns among the live nodes of a resolved architecture.
    pub fn of(architecture: &Architecture, registry: &Registry, live: &Live) -> Self {
        let count = architecture.dag.node_count();
        let is_term = terms(architecture, live);
        let mut labels = vec![String::new(); count];
        // What a node hands on: itself, or what it passes through.
        let mut handed: Vec<Vec<NodeIndex>> = vec![Vec::new(); count];
        let mut kinds: [Occurrences; 4] = Default::default();
        for &index in &live.nodes {
            let node = &architecture.dag[index];
            let mut read: Vec<NodeIndex> = Vec::new();
            for source in sources(architecture, index) {
                let handed = &mut handed[source.index()];
                if is_term[source.index()] && read.is_empty() {
                    // Nobody else reads it.
                    read = std::mem::take(handed);
                } else {
                    read.extend_from_slice(handed);
                }
            }
            // What a sum adds to one operand may be dead.
            let is_passed = is_term[index.index()]
                || is_sum(architecture, index) && read.len() == 1
                || is_passed(architecture, registry, index);
            if is_passed && !read.is_empty() {
                handed[index.index()] = read;
                continue;
            }
            let label = label(architecture, registry, index);
            let mut beneath: Vec<&str> =
                read.iter().map(|source| labels[source.index()].as_str()).collect();
            let is_fed = node.inputs.iter().any(|operand| matches!(operand, Operand::Input(_)));
            beneath.extend(is_fed.then_some("input"));
            beneath.sort_unstable();
            let subtree = format!("{label}{beneath:?}");
            let fact = architecture.fact(Operand::Node { node: index, slot: 0 });
            let shape = fact.and_then(|fact| fact.shape).unwrap_or_default();
            let place = format!("{:?}", shape.get(1..).unwrap_or_default());
            // A sum of three is two additions.
            let times = if is_sum(architecture, index) { read.len().max(2) - 1 } else { 1 };
            let patterns =
                [label.clone(), label.clone() + &place, subtree.clone(), subtree + &place];
            for (kind, pattern) in kinds.iter_mut().zip(patterns) {
                *kind.entry(leading(&Sha256::digest(pattern))).or_default() += times as u32;
            }
            labels[index.index()] = label;
            handed[index.index()] = vec![index];
        }
        Self { kinds }
    }
}

/// By index, whether a node is a sum that nothing reads but one other sum.
fn terms(architecture: &Architecture, live: &Live) -> Vec<bool> {
    let count = architecture.dag.node_count();
    let (mut readers, mut is_added) = (vec![0; count], vec![false; count]);
    for &index in &live.nodes {
        for source in sources(architecture, index) {
            readers[source.index()] += 1;
            is_added[source.index()] |= is_sum(architecture, index);
        }
    }
    let is_term = |index: NodeIndex| {
        is_sum(architecture, index) && is_added[index.index()] && readers[index.index()] == 1
    };
    architecture.dag.node_indices().map(is_term).collect()
}

/// Whether a node tells nothing about a graph.
fn is_passed(architecture: &Architecture, registry: &Registry, index: NodeIndex) -> bool {
    let passed = [OperatorFamily::Normalisation, OperatorFamily::Activation, OperatorFamily::Shape];
    let known = registry.find(&architecture.dag[index]);
    known.is_ok_and(|operator| passed.contains(&operator.family()))
        && sources(architecture, index).nth(1).is_none()
}

/// What an operator is called, with its window.
fn label(architecture: &Architecture, registry: &Registry, index: NodeIndex) -> String {
    let node = &architecture.dag[index];
    let Ok(operator) = registry.find(node) else { return node.op_type.clone() };
    let facts: Vec<_> = node.inputs.iter().map(|it| architecture.fact(*it)).collect();
    let geometry = operator.features(node, &facts);
    let channels = facts.first().and_then(|it| it.as_ref()?.shape.as_ref()?.get(1).copied());
    let groups = match geometry.groups {
        0 | 1 => "",
        all if Some(all) == channels => "depthwise",
        _ => "grouped",
    };
    format!("{}{:?}{:?}{groups}", node.op_type, geometry.kernel, geometry.dilation)
}
