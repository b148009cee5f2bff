//! The graph as Graphviz DOT.

use std::fmt::Write;

use petgraph::visit::{EdgeRef, IntoEdgeReferences};

use super::shape_text;
use crate::graph::{Architecture, Node, Operand};

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
        for (number, (name, operand)) in self.outputs.iter().enumerate() {
            let name = escape(name);
            let _ = writeln!(out, "  output{number} [label=\"{name}\", style=filled];");
            match operand {
                Operand::Node { node, .. } => {
                    let _ = writeln!(out, "  n{} -> output{number};", node.index());
                }
                Operand::Input(input) => {
                    let _ = writeln!(out, "  input{input} -> output{number};");
                }
                _ => {}
            }
        }
        for edge in self.dag.edge_references() {
            let _ = writeln!(out, "  n{} -> n{};", edge.source().index(), edge.target().index());
        }
        out.push_str("}\n");
        out
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Fact;

    #[test]
    fn names_do_not_break_out_of_their_quotes() {
        let mut architecture = Architecture::default();
        let shape = Some(vec![1, 3]);
        let name = "in\"\n\\put".to_owned();
        architecture.inputs.push(Fact { name, shape, ..Fact::default() });
        let node = architecture.dag.add_node(Node {
            op_type: "Odd\"".to_owned(),
            opset: 1,
            inputs: vec![Operand::Input(0)],
            ..Node::default()
        });
        architecture.outputs.push(("y".to_owned(), Operand::Node { node, slot: 0 }));
        let dot = architecture.to_dot(|node| node.op_type == "Relu");
        assert!(dot.contains(r#"input0 [label="in\" \\put\n1 × 3""#), "{dot}");
        assert!(dot.contains(r#"n0 [label="Odd\"\n?", color=red"#), "{dot}");
        assert!(dot.contains("input0 -> n0;") && dot.contains("n0 -> output0;"));
        assert!(!architecture.to_dot(|_| true).contains("red"));
    }
}
