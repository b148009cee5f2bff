//! Parameters that no operator is known to learn, on their way to one that would.

use std::collections::BTreeMap;

use crate::graph::{Architecture, NodeIndex, Operand, Parameter, ParameterId, Role};

use super::{Registry, SlotRule};

/// Words in PyTorch's names of what training learns.
const LEARNED: [&str; 2] = ["weight", "bias"];

/// Float parameters that have no use of their own, but reach an operator that is not supported or a layer
/// through operators that are not followed; with the reason as a sentence. A layer is what takes them as
/// a weight, or takes them at all if their name says that they are one.
pub fn stranded(architecture: &Architecture, registry: &Registry) -> BTreeMap<ParameterId, String> {
    let ways = Ways::of(architecture, registry);
    let mut found = BTreeMap::new();
    for &index in &architecture.order {
        for (input, operand) in architecture.dag[index].inputs.iter().enumerate() {
            let &Operand::Parameter(id) = operand else { continue };
            let parameter = &architecture.parameters[id.0];
            if parameter.slots.is_empty()
                && parameter.dtype.is_float()
                && let Some(why) = ways.reason(architecture, parameter, index, input)
            {
                found.entry(id).or_insert(why);
            }
        }
    }
    found
}

/// Where what a node computes ends up.
#[derive(Clone, Copy)]
struct End {
    node: NodeIndex,
    kind: Kind,
}

/// What the node there does with it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Unsupported,
    /// Takes it as a weight.
    Layer,
    /// Takes it as another learned tensor.
    Learner,
}

/// Ends of nodes that compute without data.
struct Ways {
    /// Where the inputs of a node lead, by node.
    ends: Vec<Option<End>>,
    /// Which nodes compute from data, by index.
    fed: Vec<bool>,
    /// What nodes take their inputs for, where they are supported.
    slots: Vec<Option<Vec<SlotRule>>>,
}

impl Ways {
    fn of(architecture: &Architecture, registry: &Registry) -> Self {
        let count = architecture.dag.node_count();
        let mut ways =
            Self { ends: vec![None; count], fed: vec![false; count], slots: vec![None; count] };
        for &index in &architecture.order {
            let node = &architecture.dag[index];
            let facts: Vec<_> = node.inputs.iter().map(|&it| architecture.fact(it)).collect();
            let operator = registry.find(node).ok();
            ways.slots[index.index()] =
                operator.map(|operator| operator.slots(node, &facts).unwrap_or_default());
            ways.fed[index.index()] = node.inputs.iter().any(|operand| match operand {
                Operand::Input(_) => true,
                Operand::Node { node, .. } => ways.fed[node.index()],
                _ => false,
            });
        }
        for &index in architecture.order.iter().rev() {
            for (input, operand) in architecture.dag[index].inputs.iter().enumerate() {
                let &Operand::Node { node, .. } = operand else { continue };
                let before = ways.ends[node.index()];
                let end = ways.end(architecture, index, input);
                ways.ends[node.index()] =
                    before.into_iter().chain(end).min_by_key(|end: &End| end.kind);
            }
        }
        ways
    }

    /// Where an input of a node ends up.
    fn end(&self, architecture: &Architecture, node: NodeIndex, input: usize) -> Option<End> {
        let Some(rules) = &self.slots[node.index()] else {
            return Some(End { node, kind: Kind::Unsupported });
        };
        if !self.fed[node.index()] {
            // What repeats values makes tables, not weights.
            let repeats = matches!(architecture.dag[node].op_type.as_str(), "Expand" | "Tile");
            return self.ends[node.index()].filter(|end| !repeats || end.kind == Kind::Unsupported);
        }
        let rule = rules.iter().find(|rule| rule.input == input)?;
        let kind = if rule.role == Role::Weight { Kind::Layer } else { Kind::Learner };
        Some(End { node, kind })
    }

    /// Why a parameter that a node reads is stranded, if it is.
    fn reason(
        &self,
        architecture: &Architecture,
        parameter: &Parameter,
        reader: NodeIndex,
        input: usize,
    ) -> Option<String> {
        let End { node: end, kind } = self.end(architecture, reader, input)?;
        let last = parameter.name.rsplit('.').next().unwrap_or_default();
        let learned = LEARNED.iter().any(|word| last.contains(word));
        if kind == Kind::Learner && !learned {
            return None;
        }
        let [reader_text, end_text] = [reader, end].map(|node| architecture.describe(node));
        Some(match (kind, reader == end) {
            (Kind::Unsupported, true) => format!("{end_text} reads it and is not supported"),
            (Kind::Unsupported, false) => format!("it leads to {end_text}, which is not supported"),
            (Kind::Layer | Kind::Learner, _) => format!(
                "it leads to {end_text} through {reader_text}, further than weights are followed"
            ),
        })
    }
}
