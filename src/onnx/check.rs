//! What is checked before anything is decoded: that every message ends where it says, that graphs
//! are not nested without end, and that the decoded file stays in proportion to its size.

use super::{
    OnnxError,
    messages::{
        AttributeProto, DimensionProto, FunctionProto, NodeProto, OperatorSetIdProto,
        SparseTensorProto, StringStringEntryProto, TensorProto, ValueInfoProto,
    },
    wire::{Field, Fields, fields},
};

/// Deepest nesting of graphs inside nodes, and of types inside types.
const NESTED: usize = 8;
/// Memory that any file may take to decode, however small.
const ALLOWANCE: usize = 256 << 20;
/// Memory that a file may take beyond that, as a multiple of its size.
const GROWTH: usize = 4;
/// Field numbers of messages inside messages are below this.
const NUMBERS: usize = 26;

/// The messages in which messages are nested.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    SparseTensor,
    Value,
    Type,
    /// Tensor types (`elem_type` is a number there) and types of containers.
    TensorType,
    ContainerType,
    MapType,
    Shape,
    Function,
    /// Messages without messages inside: entries, opsets, dimensions.
    Leaf,
}

/// A message field: its name, what it holds, and what one more costs once decoded.
type Child = (&'static str, Kind, usize);

impl Kind {
    fn child(self, number: u64) -> Option<Child> {
        let entry = size_of::<StringStringEntryProto>();
        let boxed_graph = 256;
        Some(match (self, number) {
            (Self::Model, 7) => ("graph", Self::Graph, 0),
            (Self::Model, 8) => ("opset_import", Self::Leaf, size_of::<OperatorSetIdProto>()),
            (Self::Model, 14) => ("metadata_props", Self::Leaf, entry),
            (Self::Model, 25) => ("functions", Self::Function, size_of::<FunctionProto>()),
            (Self::Graph, 1) => ("node", Self::Node, size_of::<NodeProto>()),
            (Self::Graph, 5) => ("initializer", Self::Tensor, size_of::<TensorProto>()),
            (Self::Graph, 11) => ("input", Self::Value, size_of::<ValueInfoProto>()),
            (Self::Graph, 12) => ("output", Self::Value, size_of::<ValueInfoProto>()),
            (Self::Graph, 13) => ("value_info", Self::Value, size_of::<ValueInfoProto>()),
            (Self::Graph, 15) => {
                ("sparse_initializer", Self::SparseTensor, size_of::<SparseTensorProto>())
            }
            (Self::Graph, 16) | (Self::Node, 9) | (Self::Function, 14) | (Self::Value, 4) => {
                ("metadata_props", Self::Leaf, entry)
            }
            (Self::Node, 5) => ("attribute", Self::Attribute, size_of::<AttributeProto>()),
            (Self::Function, 7) => ("node", Self::Node, size_of::<NodeProto>()),
            (Self::Function, 9) => ("opset_import", Self::Leaf, size_of::<OperatorSetIdProto>()),
            (Self::Function, 11) => {
                ("attribute_proto", Self::Attribute, size_of::<AttributeProto>())
            }
            (Self::Attribute, 5) => ("t", Self::Tensor, 0),
            (Self::Attribute, 6) => ("g", Self::Graph, boxed_graph),
            (Self::Attribute, 10) => ("tensors", Self::Tensor, 0),
            (Self::Attribute, 11) => ("graphs", Self::Graph, boxed_graph),
            (Self::Tensor, 13) => ("external_data", Self::Leaf, entry),
            (Self::SparseTensor, 1) => ("values", Self::Tensor, 0),
            (Self::SparseTensor, 2) => ("indices", Self::Tensor, 0),
            (Self::Value, 2) => ("type", Self::Type, 0),
            (Self::Type, 1 | 8) => ("tensor_type", Self::TensorType, 0),
            (Self::Type, 4) => ("sequence_type", Self::ContainerType, 0),
            (Self::Type, 5) => ("map_type", Self::MapType, 0),
            (Self::Type, 9) => ("optional_type", Self::ContainerType, 0),
            (Self::ContainerType, 1) => ("elem_type", Self::Type, 0),
            (Self::MapType, 2) => ("value_type", Self::Type, 0),
            (Self::TensorType, 2) => ("shape", Self::Shape, 0),
            (Self::Shape, 1) => ("dim", Self::Leaf, size_of::<DimensionProto>()),
            _ => return None,
        })
    }

    /// Bytes that a field without messages inside may take once decoded.
    fn cost(self, field: &Field) -> usize {
        match (self, field.number, field.kind) {
            // Shared with the file.
            (Self::Tensor, 9, 2) => 0,
            // Packed integers: at least one byte each on the wire, up to eight in memory.
            (Self::Tensor, 5 | 7 | 11, 2) | (Self::Attribute, 8, 2) => 8 * field.payload.len(),
            (_, _, 2) => size_of::<String>() + field.payload.len(),
            (Self::Tensor | Self::Attribute, _, _) => size_of::<u64>(),
            _ => 0,
        }
    }
}

struct Frame<'a> {
    kind: Kind,
    name: &'static str,
    /// Which of the fields of this name in its parent this is.
    index: u32,
    rest: Fields<'a>,
    seen: [u32; NUMBERS],
}

/// Checks a model in time linear in its size, so that decoding it is safe.
pub fn check(file: &str, bytes: &[u8]) -> Result<(), OnnxError> {
    let refuse = |problem: String| Err(OnnxError::NotOnnx { file: file.to_owned(), problem });
    let frame = |kind, name, index, message| Frame {
        kind,
        name,
        index,
        rest: fields(message),
        seen: [0; NUMBERS],
    };
    let limit = ALLOWANCE + GROWTH * bytes.len();
    let mut cost = 0usize;
    let mut stack = vec![frame(Kind::Model, "model", 0, bytes)];
    while let Some(top) = stack.last_mut() {
        let Some(field) = top.rest.next() else {
            stack.pop();
            continue;
        };
        let Ok(field) = field else {
            return refuse(format!(
                "field '{}' ends too early or holds what is no field",
                path(&stack)
            ));
        };
        let Some((name, kind, size)) = top.kind.child(field.number) else {
            // Vectors grow by doubling.
            cost = cost.saturating_add(2 * top.kind.cost(&field));
            if cost > limit {
                return refuse(format!(
                    "field '{}' would make it take more than {limit} bytes of memory",
                    path(&stack)
                ));
            }
            continue;
        };
        cost = cost.saturating_add(2 * size);
        let seen = &mut top.seen[field.number as usize];
        let index = *seen;
        *seen += 1;
        stack.push(frame(kind, name, index, field.payload));
        if field.kind != 2 {
            return refuse(format!("field '{}' is not a message", path(&stack)));
        }
        if kind == Kind::Graph && stack.len() == 2 && index > 0 {
            return refuse("field 'graph' is given twice".to_owned());
        }
        let of_kind = stack.iter().filter(|frame| frame.kind == kind).count();
        if of_kind > NESTED {
            return refuse(format!("field '{}' is nested too deeply", path(&stack)));
        }
        if cost > limit {
            return refuse(format!(
                "field '{}' would make it take more than {limit} bytes of memory",
                path(&stack)
            ));
        }
    }
    Ok(())
}

/// `graph.node[3].attribute[0]`; the innermost names are enough of a long one.
fn path(stack: &[Frame]) -> String {
    let repeated = |frame: &Frame| {
        !matches!(frame.kind, Kind::Type | Kind::TensorType | Kind::Shape)
            && !matches!(frame.name, "model" | "graph" | "t" | "g" | "values" | "indices")
    };
    let parts: Vec<String> = stack
        .iter()
        .skip(usize::from(stack.len() > 1))
        .map(|frame| match repeated(frame) {
            true => format!("{}[{}]", frame.name, frame.index),
            false => frame.name.to_owned(),
        })
        .collect();
    match parts.len() {
        0..=8 => parts.join("."),
        count => format!("{}…{}", parts[..2].join("."), parts[count - 4..].join(".")),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::MessageWriter, *};

    fn wrap(numbers: &[u64], message: &[u8]) -> Vec<u8> {
        numbers.iter().rev().fold(message.to_vec(), |inner, &number| {
            MessageWriter::of(|message| message.field(number, inner))
        })
    }

    fn problem(bytes: &[u8]) -> String {
        check("f.onnx", bytes).unwrap_err().to_string()
    }

    #[test]
    fn errors_name_file_and_field() {
        let broken = wrap(&[7, 1, 5], &[0x12, 9]);
        assert_eq!(
            problem(&broken),
            "f.onnx: not an ONNX model: field 'graph.node[0].attribute[0]' ends too early or holds what is no field"
        );
        assert!(problem(&wrap(&[7, 5], &[0xff])).contains("'graph.initializer[0]'"));
        assert!(problem(&[0x38, 1]).contains("'graph' is not a message"));
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth| wrap(&[&[7][..], &[1, 5, 6].repeat(depth)].concat(), &[]);
        assert!(check("f", &nested(NESTED - 1)).is_ok());
        assert!(problem(&nested(NESTED)).contains("nested too deeply"));
        assert!(problem(&nested(1000)).contains("nested too deeply"));
        let types = |depth| wrap(&[&[7, 11, 2][..], &[4, 1].repeat(depth)].concat(), &[]);
        assert!(check("f", &types(NESTED - 1)).is_ok());
        assert!(problem(&types(500)).contains("nested too deeply"));
    }

    #[test]
    fn many_empty_messages_are_refused() {
        let nodes = [0x0a, 0].repeat(4 << 20);
        assert!(problem(&wrap(&[7], &nodes)).contains("bytes of memory"));
        let packed = wrap(&[7, 5, 7], &vec![0; 64 << 20]);
        assert!(problem(&packed).contains("'graph.initializer[0]'"));
    }

    #[test]
    fn one_model_has_one_graph() {
        let twice = [wrap(&[7], &[]), wrap(&[7], &[])].concat();
        assert!(problem(&twice).contains("given twice"));
    }
}
