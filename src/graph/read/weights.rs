//! Which values are weights, as far as a graph shows without knowing what its operators mean. The
//! operator table has the last word: it turns tensors that nothing learns into constants.

use std::collections::{HashMap, HashSet};

use crate::onnx::{
    Belongs, belongs,
    messages::{GraphProto, NodeProto},
};

/// Endings of state-dict names.
const SUFFIXES: [&str; 7] =
    [".weight", ".bias", ".scale", ".running_mean", ".running_var", ".gamma", ".beta"];

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

/// Whether a name ends like those of weights in a state dict.
pub(super) fn is_called_weight(name: &str) -> bool {
    SUFFIXES.iter().any(|end| name.ends_with(end))
}

/// How the nodes of a graph read its values, and what its exporter says about them.
pub(super) struct Readers<'a> {
    /// What belongs to the module, where the exporter says so.
    said: HashMap<&'a str, Belongs>,
    /// What learners take as their first input.
    fed: HashSet<&'a str>,
    /// Whether every node that reads a value is a learner and takes it after its first input.
    learned: HashMap<&'a str, bool>,
}

impl<'a> Readers<'a> {
    pub(super) fn new(graph: &'a GraphProto, nodes: impl Iterator<Item = &'a NodeProto>) -> Self {
        let mut learned = HashMap::new();
        let mut fed = HashSet::new();
        for node in nodes {
            let default = matches!(node.domain.as_deref(), None | Some("" | "ai.onnx"));
            let op_type = node.op_type.as_deref().unwrap_or_default();
            let learner = default && LEARNERS.binary_search(&op_type).is_ok();
            for (slot, name) in node.input.iter().enumerate() {
                if learner && slot == 0 {
                    fed.insert(name.as_str());
                }
                *learned.entry(name.as_str()).or_insert(true) &= learner && slot > 0;
            }
        }
        let said = graph
            .input
            .iter()
            .filter_map(|input| Some((input.name.as_deref()?, belongs(input)?)))
            .collect();
        Self { said, fed, learned }
    }

    /// Whether training learns or measures a tensor, where the exporter says what it does: then
    /// what it does not mention is a constant that it made itself.
    pub(super) fn said(&self, name: &str) -> Option<bool> {
        let measured = || MEASURED.iter().any(|end| name.ends_with(end));
        match self.said.get(name) {
            None if self.said.is_empty() => None,
            None => Some(false),
            Some(&belongs) => Some(belongs == Belongs::Parameter || measured()),
        }
    }

    /// Whether only slots for weights take a value, at least one of them.
    pub(super) fn learn(&self, name: &str) -> bool {
        self.learned.get(name) == Some(&true)
    }

    /// Graph inputs that are weights listed without values (`keep_initializers_as_inputs`): by
    /// name, or because only slots for weights take them. One input is left for data.
    pub(super) fn inputs(&self, graph: &'a GraphProto) -> HashSet<&'a str> {
        let names = || graph.input.iter().filter_map(|input| input.name.as_deref());
        let named = |name: &str| self.said.contains_key(name) || is_called_weight(name);
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

    /// Further inputs that must be weights, since weights are listed without values and no layer
    /// takes these as its data: class tokens, positional embeddings. Not where the exporter says
    /// which inputs are weights, and never the first input.
    pub(super) fn guessed(
        &self,
        graph: &'a GraphProto,
        found: &HashSet<&'a str>,
    ) -> HashSet<&'a str> {
        let initialized: HashSet<&str> =
            graph.initializer.iter().filter_map(|tensor| tensor.name.as_deref()).collect();
        let names = graph.input.iter().filter_map(|input| input.name.as_deref());
        let without_value: Vec<&str> = names.filter(|name| !initialized.contains(name)).collect();
        let listed = without_value.iter().any(|name| found.contains(name));
        if !listed || !self.said.is_empty() {
            return HashSet::new();
        }
        let weight = |name: &&str| {
            !found.contains(name) && self.learned.contains_key(name) && !self.fed.contains(name)
        };
        without_value.into_iter().skip(1).filter(weight).collect()
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
    fn tokens_and_embeddings_are_told_from_images() {
        let nodes: [(&str, &[&str]); 4] = [
            ("Conv", &["x", "w"]),
            ("Concat", &["token", "a"]),
            ("Add", &["b", "positions"]),
            ("Conv", &["y", "w"]),
        ];
        let guessed = |inputs: &[&str]| {
            let graph = graph(inputs, &nodes);
            let readers = Readers::new(&graph, graph.node.iter());
            let mut names: Vec<String> = readers
                .guessed(&graph, &readers.inputs(&graph))
                .into_iter()
                .map(str::to_owned)
                .collect();
            names.sort_unstable();
            names
        };
        assert_eq!(guessed(&["x", "token", "w", "positions", "y"]), ["positions", "token"]);
        // No weight is listed: these are data.
        assert!(guessed(&["x", "token", "positions"]).is_empty());
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
