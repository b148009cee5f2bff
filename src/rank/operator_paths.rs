//! What a graph is made of: its operators, and paths of two and three of them, by which predictors of accuracy tell
//! architectures apart (White et al. 2021, *BANANAS*).

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

/// The operator paths of one graph: the same for isomorphic graphs. Nodes that normalise, bend or rearrange values are
/// passed through, a sum of sums is one; channels and strides are not told apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OperatorPaths {
    /// By kind: single operators, operators at a place of the network (the extent of what they return), paths of two
    /// and three operators, and such paths at the place of the last.
    pub kinds: [Occurrences; 4],
}

/// What a node adds to the paths of those that read it.
#[derive(Clone, Default)]
struct Step {
    label: String,
    /// Paths of two operators that end here, and how often they do.
    pairs: BTreeMap<String, u32>,
}

impl OperatorPaths {
    /// Counts the paths among the live nodes of a resolved architecture.
    pub fn of(architecture: &Architecture, registry: &Registry, live: &Live) -> Self {
        let count = architecture.dag.node_count();
        let is_term = terms(architecture, live);
        let mut steps = vec![Step::default(); count];
        // What a node hands on: itself, or what it passes through.
        let mut handed: Vec<Vec<NodeIndex>> = vec![Vec::new(); count];
        let mut kinds: [Occurrences; 4] = Default::default();
        let mut add = |kind: usize, path: &str, times: u32| {
            *kinds[kind].entry(leading(&Sha256::digest(path))).or_default() += times;
        };
        for &index in &live.nodes {
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
            let fact = architecture.fact(Operand::Node { node: index, slot: 0 });
            let shape = fact.and_then(|fact| fact.shape).unwrap_or_default();
            let place = format!("{:?}", shape.get(1..).unwrap_or_default());
            let label = label(architecture, registry, index);
            // A sum of three is two additions.
            let times = if is_sum(architecture, index) { read.len().max(2) - 1 } else { 1 };
            add(0, &label, times as u32);
            add(1, &(label.clone() + &place), times as u32);
            let mut pairs = BTreeMap::new();
            let mut longer: BTreeMap<String, u32> = BTreeMap::new();
            for source in read {
                let step = &steps[source.index()];
                *pairs.entry(format!("{label}<{}", step.label)).or_default() += 1;
                for (path, times) in &step.pairs {
                    *longer.entry(format!("{label}<{path}")).or_default() += times;
                }
            }
            for (path, times) in pairs.iter().chain(&longer) {
                add(2, path, *times);
                add(3, &(path.clone() + &place), *times);
            }
            steps[index.index()] = Step { label, pairs };
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
