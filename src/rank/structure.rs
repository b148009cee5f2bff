//! Which graphs are one: hashes of structure, without names, weights or the order of nodes.

use sha2::{Digest, Sha256};

use crate::graph::{Architecture, Operand};

use super::{Live, paths::is_sum};

/// Hashes of one graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprints {
    /// Of every node, parameter shape and constant in file order: equal where everything that is
    /// computed, with drawn weights too, is equal.
    pub exact: String,
    /// Of the live nodes, in whatever order, dead branches left out: equal where two graphs are
    /// isomorphic. Different graphs differ in it but for rare exceptions that message passing from
    /// input to output cannot tell apart.
    pub structure: String,
}

/// Hashes a resolved architecture.
pub fn fingerprint(architecture: &Architecture, live: &Live) -> Fingerprints {
    let mut exact = Sha256::new();
    for input in &architecture.inputs {
        exact.update(format!("{:?}", input.shape));
    }
    for parameter in &architecture.parameters {
        exact.update(format!("{:?}", parameter.shape));
    }
    for (_, value) in &architecture.constants {
        exact.update(format!("{value:?}"));
    }
    for &index in &architecture.order {
        let node = &architecture.dag[index];
        let attributes = &node.attributes;
        exact.update(format!("{}:{}{:?}{:?}", node.domain, node.op_type, attributes, node.inputs));
    }
    exact.update(format!("{:?}", outputs(architecture)));
    Fingerprints { exact: hex(&exact.finalize()), structure: structure(architecture, live) }
}

fn outputs(architecture: &Architecture) -> Vec<Operand> {
    architecture.outputs.iter().map(|(_, operand)| *operand).collect()
}

fn structure(architecture: &Architecture, live: &Live) -> String {
    let mut known = vec![String::new(); architecture.dag.node_count()];
    // What sums add up: neither their order nor how they are nested matters.
    let mut terms: Vec<Vec<String>> = vec![Vec::new(); architecture.dag.node_count()];
    let mut all = Vec::with_capacity(live.nodes.len());
    for &index in &live.nodes {
        let node = &architecture.dag[index];
        let mut operands: Vec<String> = node
            .inputs
            .iter()
            .map(|&operand| match operand {
                Operand::Absent => "absent".to_owned(),
                Operand::Input(index) => format!("input {index}"),
                Operand::Parameter(id) => format!("{:?}", architecture.parameters[id.0].shape),
                Operand::Constant(index) => format!("{:?}", architecture.constants[index].1),
                Operand::Node { node, slot } => match known[node.index()].as_str() {
                    "" => format!("{:?}", architecture.fact(operand).and_then(|it| it.value)),
                    hash => format!("{hash}.{slot}"),
                },
            })
            .collect();
        if matches!(node.op_type.as_str(), "Mul" | "Sum" | "Max" | "Min" | "Mean") {
            operands.sort_unstable();
        }
        if is_sum(architecture, index) {
            let mut sum = Vec::new();
            for (operand, hash) in node.inputs.iter().zip(operands) {
                match *operand {
                    Operand::Node { node, .. } if !terms[node.index()].is_empty() => {
                        sum.extend_from_slice(&terms[node.index()]);
                    }
                    Operand::Node { node, .. } if known[node.index()].is_empty() => {}
                    _ => sum.push(hash),
                }
            }
            sum.sort_unstable();
            known[index.index()] = match sum.as_slice() {
                [one] => one.trim_end_matches(".0").to_owned(),
                sum => hex(&Sha256::digest(format!("sum{sum:?}"))),
            };
            terms[index.index()] = sum;
            continue;
        }
        let text = format!("{}:{}{:?}{operands:?}", node.domain, node.op_type, node.attributes);
        known[index.index()] = hex(&Sha256::digest(text));
        all.push(known[index.index()].clone());
    }
    // Every node counts by itself: one that is read twice is not two.
    all.sort_unstable();
    let ends: Vec<String> = outputs(architecture)
        .into_iter()
        .filter_map(|operand| match operand {
            Operand::Node { node, .. } => Some(known[node.index()].clone()),
            _ => None,
        })
        .collect();
    let inputs: Vec<_> = architecture.inputs.iter().map(|input| &input.shape).collect();
    hex(&Sha256::digest(format!("{inputs:?}{all:?}{ends:?}")))
}

/// The first eight bytes.
fn hex(digest: &[u8]) -> String {
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
