//! A model as wire bytes. Only what [`super::GraphBuilder`] builds: a dozen fields of
//! `onnx.proto`, written in field order, so that equal graphs are equal bytes.

use crate::onnx::{MessageWriter, value_info};

use super::graph::{Attribute, Graph, Node};

/// `ModelProto.ir_version`, the one that came with [`OPSET`].
const IR_VERSION: u64 = 10;
/// Opset of the default domain: the first with a per-channel `GroupNormalization`.
const OPSET: u64 = 21;
/// Of this encoder, which is not the crate's: graphs stay what they are from release to release.
const PRODUCER_VERSION: &str = "0.1.0";
/// `TensorProto.DataType.FLOAT`
const FLOAT: u64 = 1;

/// `ModelProto`
pub(super) fn model(graph: &Graph) -> Vec<u8> {
    MessageWriter::of(|model| {
        model.int(1, IR_VERSION);
        model.field(2, "weightsmith");
        model.field(3, PRODUCER_VERSION);
        model.message(7, |it| write_graph(it, graph));
        model.message(8, |opset| {
            opset.field(1, "");
            opset.int(2, OPSET);
        });
    })
}

fn write_graph(out: &mut MessageWriter, graph: &Graph) {
    for node in &graph.nodes {
        out.message(1, |it| write_node(it, node));
    }
    out.field(2, &graph.name);
    out.message(11, |it| value_info(it, "input", FLOAT, Some("batch"), &graph.input));
    for parameter in &graph.parameters {
        out.message(11, |it| value_info(it, &parameter.name, FLOAT, None, &parameter.shape));
    }
    out.message(12, |it| value_info(it, "logits", FLOAT, Some("batch"), &[graph.classes]));
}

/// `NodeProto`
fn write_node(out: &mut MessageWriter, node: &Node) {
    for input in &node.inputs {
        out.field(1, input);
    }
    for output in &node.outputs {
        out.field(2, output);
    }
    out.field(3, &node.name);
    out.field(4, node.op_type);
    for (name, attribute) in &node.attributes {
        out.message(5, |it| write_attribute(it, name, attribute));
    }
}

/// `AttributeProto`; its type numbers are FLOAT 1, INT 2, STRING 3, INTS 7.
fn write_attribute(out: &mut MessageWriter, name: &str, attribute: &Attribute) {
    out.field(1, name);
    let kind = match attribute {
        Attribute::Float(value) => {
            out.float(2, *value);
            1
        }
        Attribute::Int(value) => {
            out.int(3, *value as u64);
            2
        }
        Attribute::String(value) => {
            out.field(4, value);
            3
        }
        Attribute::Ints(values) => {
            for value in values {
                out.int(8, *value as u64);
            }
            7
        }
    };
    out.int(20, kind);
}
