//! A model as wire bytes. Only what [`super::GraphBuilder`] builds: a dozen fields of
//! `onnx.proto`, written in field order, so that equal graphs are equal bytes.

use super::build::{Attribute, Graph, Node};

/// `ModelProto.ir_version`, the one that came with [`OPSET`].
const IR_VERSION: u64 = 10;
/// Opset of the default domain: the first with a per-channel `GroupNormalization`.
const OPSET: u64 = 21;
/// Of this encoder, which is not the crate's: graphs stay what they are from release to release.
const PRODUCER_VERSION: &[u8] = b"0.1.0";
/// `TensorProto.DataType.FLOAT`
const FLOAT: u64 = 1;

/// `ModelProto`
pub(super) fn model(graph: &Graph) -> Vec<u8> {
    let mut model = Message::default();
    model.int(1, IR_VERSION);
    model.bytes(2, b"weightsmith");
    model.bytes(3, PRODUCER_VERSION);
    model.message(7, |it| write_graph(it, graph));
    model.message(8, |it| {
        it.bytes(1, b"");
        it.int(2, OPSET);
    });
    model.0
}

fn write_graph(out: &mut Message, graph: &Graph) {
    for node in &graph.nodes {
        out.message(1, |it| write_node(it, node));
    }
    out.bytes(2, graph.name.as_bytes());
    out.message(11, |it| value_info(it, "input", Some("batch"), &graph.input));
    for parameter in &graph.parameters {
        out.message(11, |it| value_info(it, &parameter.name, None, &parameter.shape));
    }
    out.message(12, |it| value_info(it, "logits", Some("batch"), &[graph.classes]));
}

/// `NodeProto`
fn write_node(out: &mut Message, node: &Node) {
    for input in &node.inputs {
        out.bytes(1, input.as_bytes());
    }
    for output in &node.outputs {
        out.bytes(2, output.as_bytes());
    }
    out.bytes(3, node.name.as_bytes());
    out.bytes(4, node.op_type.as_bytes());
    for (name, attribute) in &node.attributes {
        out.message(5, |it| write_attribute(it, name, attribute));
    }
}

/// `AttributeProto`; its type numbers are FLOAT 1, INT 2, STRING 3, INTS 7.
fn write_attribute(out: &mut Message, name: &str, attribute: &Attribute) {
    out.bytes(1, name.as_bytes());
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
            out.bytes(4, value.as_bytes());
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

/// `ValueInfoProto` of a float tensor whose first axis is perhaps a symbol.
fn value_info(out: &mut Message, name: &str, symbol: Option<&str>, extents: &[usize]) {
    out.bytes(1, name.as_bytes());
    out.message(2, |kind| {
        kind.message(1, |tensor| {
            tensor.int(1, FLOAT);
            tensor.message(2, |shape| {
                if let Some(symbol) = symbol {
                    shape.message(1, |dimension| dimension.bytes(2, symbol.as_bytes()));
                }
                for extent in extents {
                    shape.message(1, |dimension| dimension.int(1, *extent as u64));
                }
            });
        });
    });
}

/// Protobuf fields in the order in which they were written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn tag(&mut self, field: u64, wire_type: u64) {
        self.varint(field << 3 | wire_type);
    }

    fn int(&mut self, field: u64, value: u64) {
        self.tag(field, 0);
        self.varint(value);
    }

    fn float(&mut self, field: u64, value: f32) {
        self.tag(field, 5);
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, value: &[u8]) {
        self.tag(field, 2);
        self.varint(value.len() as u64);
        self.0.extend(value);
    }

    fn message(&mut self, field: u64, write: impl FnOnce(&mut Message)) {
        let mut inner = Message::default();
        write(&mut inner);
        self.bytes(field, &inner.0);
    }
}
