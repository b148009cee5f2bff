//! The graph as Graphviz DOT.

use std::fmt::Write;

use petgraph::visit::{EdgeRef, IntoEdgeReferences};

use super::{Architecture, Node, Operand};

impl Architecture {
    /// DOT text: operators with their output shapes and parameter counts; those for which
    /// `supported` is false are red.
    pub fn to_dot(&self, supported: impl Fn(&Node) -> bool) -> String {
        let mut out = String::from(
            "digraph architecture {\n  rankdir=TB;\n  node [shape=box, style=rounded, fontname=\"sans-serif\"];\n",
        );
        // Writing to a String cannot fail.
        for (index, input) in self.inputs.iter().enumerate() {
            let shape = shape_text(input.shape.as_deref());
            let name = escape(&input.name);
            let _ = writeln!(out, "  input{index} [label=\"{name}\\n{shape}\", style=filled];");
        }
        for index in self.dag.node_indices() {
            let node = &self.dag[index];
            let values: usize = node
                .inputs
                .iter()
                .filter_map(|operand| match operand {
                    Operand::Parameter(id) => self.parameters[id.0].len(),
                    _ => None,
                })
                .sum();
            let shape = shape_text(node.outputs.first().and_then(|fact| fact.shape.as_deref()));
            let count = if values > 0 { format!("\\n{values} weights") } else { String::new() };
            let color = if supported(node) { "" } else { ", color=red, fontcolor=red" };
            let op = escape(&node.op_type);
            let _ = writeln!(out, "  n{} [label=\"{op}\\n{shape}{count}\"{color}];", index.index());
            for operand in &node.inputs {
                if let Operand::Input(input) = operand {
                    let _ = writeln!(out, "  input{input} -> n{};", index.index());
                }
            }
        }
        for edge in self.dag.edge_references() {
            let _ = writeln!(out, "  n{} -> n{};", edge.source().index(), edge.target().index());
        }
        out.push_str("}\n");
        out
    }
}

fn shape_text(shape: Option<&[usize]>) -> String {
    match shape {
        None => "?".to_owned(),
        Some(shape) => shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" × "),
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', " ")
}
