//! Renaming the values of a graph in its wire bytes; whatever is no name stays as it stands.

use std::{borrow::Cow, collections::HashSet};

use super::{
    MessageWriter,
    wire::{fields, payloads},
};

/// `GraphProto.node`
pub const NODE: u64 = 1;
/// `GraphProto.initializer`
pub const INITIALIZER: u64 = 5;
/// `GraphProto.input`
pub const INPUT: u64 = 11;
/// `GraphProto.output`
pub const OUTPUT: u64 = 12;
/// `GraphProto.value_info`
pub const VALUE_INFO: u64 = 13;
/// `GraphProto.quantization_annotation`
pub const QUANTIZATION: u64 = 14;
/// `GraphProto.sparse_initializer`
pub const SPARSE_INITIALIZER: u64 = 15;

/// Where the messages of a graph name values (and nodes), as paths of field numbers.
pub fn names(field: u64) -> Option<&'static [&'static [u64]]> {
    Some(match field {
        NODE => &[&[1], &[2], &[3]],
        INITIALIZER => &[&[8]],
        INPUT | OUTPUT | VALUE_INFO => &[&[1]],
        QUANTIZATION => &[&[1], &[2, 2]],
        SPARSE_INITIALIZER => &[&[1, 8]],
        _ => return None,
    })
}

/// The string at a path of field numbers, as protobuf reads it: the last of each.
pub fn name_at<'a>(message: &'a [u8], path: &[u64]) -> Option<&'a [u8]> {
    path.iter().try_fold(message, |message, &number| payloads(message, number).last())
}

/// How the names of one member change.
pub struct Scope<'a> {
    /// What comes before every other name.
    pub prefix: String,
    /// Values that all members read: inputs of the graph.
    pub shared: HashSet<&'a [u8]>,
}

impl Scope<'_> {
    /// A message with the strings at some paths renamed.
    pub fn renamed(&self, message: &[u8], paths: &[&[u64]]) -> Vec<u8> {
        MessageWriter::of(|out| {
            for field in fields(message).map_while(Result::ok) {
                let inner: Vec<&[u64]> = paths
                    .iter()
                    .filter_map(|path| path.split_first())
                    .filter(|&(&first, _)| first == field.number && field.kind == 2)
                    .map(|(_, rest)| rest)
                    .collect();
                match inner.as_slice() {
                    [] => out.copy(field.whole),
                    [[], ..] => out.field(field.number, self.name(field.payload)),
                    deeper => out.field(field.number, self.renamed(field.payload, deeper)),
                }
            }
        })
    }

    /// The empty name is that of what is left out.
    fn name<'b>(&self, name: &'b [u8]) -> Cow<'b, [u8]> {
        match name.is_empty() || self.shared.contains(name) {
            true => Cow::Borrowed(name),
            false => Cow::Owned([self.prefix.as_bytes(), name].concat()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(parts: &[(u64, &[u8])]) -> Vec<u8> {
        MessageWriter::of(|out| {
            parts.iter().for_each(|(number, payload)| out.field(*number, payload))
        })
    }

    #[test]
    fn names_change_and_nothing_else() {
        let shared = HashSet::from([&b"image"[..]]);
        let scope = Scope { prefix: "m/".to_owned(), shared };
        let renamed =
            |field, parts: &[(u64, &[u8])]| scope.renamed(&message(parts), names(field).unwrap());
        let node =
            renamed(NODE, &[(1, b"image"), (1, b""), (1, b"w"), (2, b"y"), (4, b"w"), (99, b"w")]);
        let expected: [(u64, &[u8]); 6] =
            [(1, b"image"), (1, b""), (1, b"m/w"), (2, b"m/y"), (4, b"w"), (99, b"w")];
        assert_eq!(node, message(&expected));
        // Sparse initializers and quantisation name values inside of messages inside.
        let sparse = renamed(SPARSE_INITIALIZER, &[(1, &message(&[(8, b"w")])), (2, b"")]);
        assert_eq!(sparse, message(&[(1, &message(&[(8, b"m/w")])), (2, b"")]));
        let scale = message(&[(1, b"SCALE_TENSOR"), (2, b"s")]);
        let quantised = renamed(QUANTIZATION, &[(1, b"image"), (2, &scale)]);
        let scale = message(&[(1, b"SCALE_TENSOR"), (2, b"m/s")]);
        assert_eq!(quantised, message(&[(1, b"image"), (2, &scale)]));
        assert_eq!(
            name_at(&message(&[(1, &message(&[(8, b"a"), (8, b"b")]))]), &[1, 8]),
            Some(&b"b"[..])
        );
    }
}
