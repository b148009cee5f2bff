//! The protobuf wire format, as far as checking and splicing need it.

use super::OnnxError;

/// Messages nested deeper than this are refused before anything is decoded.
const DEPTH: usize = 64;

/// One field of a message: its number and wire type, where it starts, and its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Field number.
    pub number: u64,
    /// Wire type.
    pub kind: u8,
    /// Tag, length and payload.
    pub whole: &'a [u8],
    /// The payload of a length-delimited field; empty otherwise.
    pub payload: &'a [u8],
    /// The value of a varint field; 0 otherwise.
    pub value: u64,
}

/// Fields of one message, in order.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

/// Iterates over the fields of a message.
pub fn fields(message: &[u8]) -> Fields<'_> {
    Fields { rest: message }
}

/// A message that ends inside a field, or a field of an impossible kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = read_field(self.rest);
        self.rest = match &field {
            Ok(field) => &self.rest[field.whole.len()..],
            Err(Malformed) => &[],
        };
        Some(field)
    }
}

fn read_field(bytes: &[u8]) -> Result<Field<'_>, Malformed> {
    let (tag, tag_length) = varint(bytes)?;
    let (number, kind) = (tag >> 3, (tag & 7) as u8);
    let body = &bytes[tag_length..];
    if number == 0 {
        return Err(Malformed);
    }
    let (length, payload, value) = match kind {
        0 => {
            let (value, length) = varint(body)?;
            (length, &body[..0], value)
        }
        1 => (8, &body[..0], 0),
        2 => {
            let (length, prefix) = varint(body)?;
            let length = usize::try_from(length).map_err(|_| Malformed)?;
            let end = prefix.checked_add(length).ok_or(Malformed)?;
            (end, body.get(prefix..end).ok_or(Malformed)?, 0)
        }
        5 => (4, &body[..0], 0),
        _ => return Err(Malformed),
    };
    let whole = bytes.get(..tag_length + length).ok_or(Malformed)?;
    Ok(Field { number, kind, whole, payload, value })
}

fn varint(bytes: &[u8]) -> Result<(u64, usize), Malformed> {
    let mut value = 0u64;
    for (index, &byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f).checked_shl(7 * index as u32).unwrap_or(0);
        if byte < 0x80 {
            return Ok((value, index + 1));
        }
    }
    Err(Malformed)
}

/// Appends a varint.
pub fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends tag and length of a length-delimited field.
pub fn put_header(number: u64, length: usize, out: &mut Vec<u8>) {
    put_varint(number << 3 | 2, out);
    put_varint(length as u64, out);
}

/// Appends a length-delimited field.
pub fn put_bytes(number: u64, payload: &[u8], out: &mut Vec<u8>) {
    put_header(number, payload.len(), out);
    out.extend_from_slice(payload);
}

/// Bytes of the tag and length of a length-delimited field.
pub fn header_length(number: u64, length: usize) -> usize {
    let mut header = Vec::with_capacity(12);
    put_header(number, length, &mut header);
    header.len()
}

/// Message fields of each ONNX message, by field number: the only places where nesting happens.
#[derive(Clone, Copy)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Function,
}

impl Kind {
    fn child(self, number: u64) -> Option<Self> {
        match (self, number) {
            (Self::Model, 7) => Some(Self::Graph),
            (Self::Model, 25) => Some(Self::Function),
            (Self::Graph, 1) | (Self::Function, 7) => Some(Self::Node),
            (Self::Node, 5) | (Self::Function, 11) => Some(Self::Attribute),
            (Self::Attribute, 6 | 11) => Some(Self::Graph),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Model => "ModelProto",
            Self::Graph => "GraphProto",
            Self::Node => "NodeProto",
            Self::Attribute => "AttributeProto",
            Self::Function => "FunctionProto",
        }
    }
}

/// Checks that a model is well-formed on the wire and not nested too deeply, in time linear in its
/// size and without allocating per field, so that decoding is safe.
pub fn check(file: &str, bytes: &[u8]) -> Result<(), OnnxError> {
    let mut stack = vec![(Kind::Model, fields(bytes))];
    while let Some((kind, rest)) = stack.last_mut() {
        let kind = *kind;
        let malformed = || OnnxError::NotOnnx {
            file: file.to_owned(),
            problem: format!("{} ends inside a field or holds an impossible one", kind.name()),
        };
        match rest.next() {
            None => {
                stack.pop();
            }
            Some(field) => {
                let field = field.map_err(|Malformed| malformed())?;
                let Some(child) = kind.child(field.number) else { continue };
                if field.kind != 2 {
                    return Err(malformed());
                }
                if stack.len() >= DEPTH {
                    return Err(OnnxError::NotOnnx {
                        file: file.to_owned(),
                        problem: format!("graphs are nested deeper than {} levels", DEPTH / 3),
                    });
                }
                stack.push((child, fields(field.payload)));
            }
        }
    }
    Ok(())
}
