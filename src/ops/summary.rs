//! An architecture in numbers.

use std::collections::BTreeMap;

use petgraph::Direction;
use serde::Serialize;

use crate::graph::{Architecture, NodeIndex, Role};

use super::{Operator, OperatorFamily, Registry};

/// What a resolved architecture consists of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// By family; operators that are not in the registry are under [`OperatorFamily::Other`].
    pub families: BTreeMap<OperatorFamily, FamilySummary>,
    /// All of them together.
    pub total: FamilySummary,
    /// Nodes on the longest path.
    pub depth: usize,
    /// The most nodes with weights on any path.
    pub weighted_depth: usize,
}

/// The nodes of one family.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FamilySummary {
    /// Number of nodes.
    pub nodes: usize,
    /// How often each operator occurs.
    pub operators: BTreeMap<String, usize>,
    /// Values of the parameters that they read; a tied parameter counts where it is read first.
    pub parameters: usize,
    /// Multiply-accumulates of one run, in convolutions and matrix products; two floating-point
    /// operations each.
    pub multiply_accumulates: u64,
}

impl FamilySummary {
    fn add(&mut self, op_type: &str, parameters: usize, multiply_accumulates: u64) {
        self.nodes += 1;
        *self.operators.entry(op_type.to_owned()).or_default() += 1;
        self.parameters = self.parameters.saturating_add(parameters);
        self.multiply_accumulates = self.multiply_accumulates.saturating_add(multiply_accumulates);
    }
}

impl Summary {
    /// Multiply-accumulates of the architecture that was counted for one of its batch; the first extent of the first
    /// input says how many there are.
    pub fn work_for_one(&self, architecture: &Architecture) -> u64 {
        let batch = architecture.inputs.first().and_then(|it| it.shape.as_ref()?.first().copied());
        self.total.multiply_accumulates / batch.unwrap_or(1).max(1) as u64
    }

    /// Counts what there is.
    pub fn of(architecture: &Architecture, registry: &Registry) -> Self {
        let nodes = architecture.dag.node_count();
        let mut parameters = vec![0usize; nodes];
        let mut weighted = vec![0usize; nodes];
        for parameter in &architecture.parameters {
            if let Some(slot) = parameter.slots.first() {
                let count = &mut parameters[slot.node.index()];
                *count = count.saturating_add(parameter.len().unwrap_or(0));
            }
            for slot in parameter.slots.iter().filter(|slot| slot.role == Role::Weight) {
                weighted[slot.node.index()] = 1;
            }
        }
        let mut summary = Self::default();
        for &index in &architecture.order {
            let node = &architecture.dag[index];
            let operator = registry.find(node).ok();
            let family = operator.map_or(OperatorFamily::Other, Operator::family);
            let facts: Vec<_> =
                node.inputs.iter().map(|&operand| architecture.fact(operand)).collect();
            let work = operator.map_or(0, |known| known.multiply_accumulates(node, &facts));
            let held = parameters[index.index()];
            summary.families.entry(family).or_default().add(&node.op_type, held, work);
            summary.total.add(&node.op_type, held, work);
        }
        summary.total.parameters = architecture.parameter_count();
        summary.depth = longest(architecture, |_| 1);
        summary.weighted_depth = longest(architecture, |node| weighted[node.index()]);
        summary
    }
}

/// The length of the longest path, where each node is as long as it says.
fn longest(architecture: &Architecture, length: impl Fn(NodeIndex) -> usize) -> usize {
    let mut ends = vec![0; architecture.dag.node_count()];
    for &node in &architecture.order {
        let before = architecture.dag.neighbors_directed(node, Direction::Incoming);
        let before = before.map(|node| ends[node.index()]).max().unwrap_or(0);
        ends[node.index()] = before + length(node);
    }
    ends.into_iter().max().unwrap_or(0)
}
