//! Which values are weights, as far as a graph shows without knowing what its operators mean. The
//! operator table has the last word: it turns tensors that nothing learns into constants.

use std::collections::{HashMap, HashSet};

use crate::onnx::{
    Belongs, belongs,
    messages::{GraphProto, NodeProto},
};

/// Endings of state-dict names.
const SUFFIXES: [&str; 6] =
    [".weight", ".bias", ".running_mean", ".running_var", ".gamma", ".beta"];

/// Operators whose inputs after the first are weights wherever they are not computed. Only for
/// telling a weight without a value from a second image, and a bias of one channel from a number.
const LEARNERS: [&str; 9] = [
    "BatchNormalization",
    "Conv",
    "ConvTranspose",
    "Gemm",
    "GroupNormalization",
    "InstanceNormalization",
    "LayerNormalization",
    "MatMul",
    "PRelu",
];

/// Endings of buffers that training measures.
const MEASURED: [&str; 2] = [".running_mean", ".running_var"];

/// How the nodes of a graph read its values, and what its exporter says about them.
pub(super) struct Readers<'a> {
    /// What belongs to the module, where the exporter says so.
    said: HashMap<&'a str, Belongs>,
    /// Whether every node that reads a value is a learner and takes it after its first input.
    learned: HashMap<&'a str, bool>,
}

impl<'a> Readers<'a> {
    pub(super) fn new(graph: &'a GraphProto, nodes: impl Iterator<Item = &'a NodeProto>) -> Self {
        let mut learned = HashMap::new();
        for node in nodes {
            let default = matches!(node.domain.as_deref(), None | Some("" | "ai.onnx"));
            let op_type = node.op_type.as_deref().unwrap_or_default();
            let learner = default && LEARNERS.binary_search(&op_type).is_ok();
            for (slot, name) in node.input.iter().enumerate() {
                *learned.entry(name.as_str()).or_insert(true) &= learner && slot > 0;
            }
        }
        let said = graph
            .input
            .iter()
            .filter_map(|input| Some((input.name.as_deref()?, belongs(input)?)))
            .collect();
        Self { said, learned }
    }

    /// Whether the exporter says that training learns or measures a value, or that it does not.
    pub(super) fn said(&self, name: &str) -> Option<bool> {
        let measured = || MEASURED.iter().any(|end| name.ends_with(end));
        self.said.get(name).map(|&belongs| belongs == Belongs::Parameter || measured())
    }

    /// Whether only slots for weights take a value, at least one of them.
    pub(super) fn learn(&self, name: &str) -> bool {
        self.learned.get(name) == Some(&true)
    }

    /// Graph inputs that are weights listed without values (`keep_initializers_as_inputs`): by
    /// name, or because only slots for weights take them. One input is left for data.
    pub(super) fn inputs(&self, graph: &'a GraphProto) -> HashSet<&'a str> {
        let names = || graph.input.iter().filter_map(|input| input.name.as_deref());
        let named = |name: &str| {
            self.said.contains_key(name) || SUFFIXES.iter().any(|end| name.ends_with(end))
        };
        let mut found: HashSet<&str> = names()
            .filter(|name| self.learned.contains_key(name))
            .filter(|name| named(name) || self.learn(name))
            .collect();
        let initialized: HashSet<&str> =
            graph.initializer.iter().filter_map(|tensor| tensor.name.as_deref()).collect();
        let mut without_value = names().filter(|name| !initialized.contains(name)).peekable();
        let first = without_value.peek().copied();
        if without_value.all(|name| found.contains(name)) {
            found.retain(|&name| Some(name) != first || named(name));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::messages::{NodeProto, ValueInfoProto};

    fn graph(inputs: &[&str], nodes: &[(&str, &[&str])]) -> GraphProto {
        let node = |&(op_type, inputs): &(&str, &[&str])| NodeProto {
            op_type: Some(op_type.to_owned()),
            input: inputs.iter().map(|&name| name.to_owned()).collect(),
            ..Default::default()
        };
        let input =
            |&name: &&str| ValueInfoProto { name: Some(name.to_owned()), ..Default::default() };
        GraphProto {
            node: nodes.iter().map(node).collect(),
            input: inputs.iter().map(input).collect(),
            ..Default::default()
        }
    }

    fn found(graph: &GraphProto) -> Vec<&str> {
        let mut found: Vec<&str> =
            Readers::new(graph, graph.node.iter()).inputs(graph).into_iter().collect();
        found.sort_unstable();
        found
    }

    #[test]
    fn learners_are_sorted_for_the_search() {
        assert!(LEARNERS.is_sorted());
    }

    #[test]
    fn weights_without_values_are_told_from_images() {
        let listed = graph(
            &["x", "w", "scale.weight", "unused.weight"],
            &[("Conv", &["x", "w"]), ("Mul", &["a", "scale.weight"])],
        );
        assert_eq!(found(&listed), ["scale.weight", "w"]);
        let two_images = graph(&["x", "y"], &[("Add", &["x", "y"]), ("Concat", &["x", "y"])]);
        assert!(found(&two_images).is_empty());
        let attention = graph(&["q", "k"], &[("Relu", &["k"]), ("MatMul", &["q", "k"])]);
        assert!(found(&attention).is_empty());
        let turned_round = graph(&["x"], &[("MatMul", &["w", "x"])]);
        assert!(found(&turned_round).is_empty());
    }
}
