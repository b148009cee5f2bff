//! Writing a filled model by splicing initializers into the original bytes. Every field that is
//! not touched is copied as it stands, known to this crate or not.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
};

use super::wire::{Field, Malformed, fields, header_length, put_bytes, put_header, put_varint};

/// A tensor to be written.
#[derive(Clone, Debug)]
pub struct Fill {
    /// Value name.
    pub name: String,
    /// `TensorProto.data_type`.
    pub data_type: i32,
    /// Extents.
    pub shape: Vec<usize>,
    /// `raw_data`.
    pub data: Vec<u8>,
}

/// What to change in a model.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Initializers to replace, in place, or to add at the end.
    pub fills: Vec<Fill>,
    /// Positions of nodes whose outputs become initializers.
    pub dropped_nodes: BTreeSet<usize>,
    /// Whether new initializers are listed as graph inputs too, as IR versions below 4 demand.
    pub list_as_inputs: bool,
    /// Entries to append to the model's `metadata_props`; present keys of the same name are
    /// replaced.
    pub metadata: Vec<(String, String)>,
}

const GRAPH: u64 = 7;
const METADATA: u64 = 14;
const NODE: u64 = 1;
const INITIALIZER: u64 = 5;
const INPUT: u64 = 11;

/// A piece of the output: original bytes, or a tensor encoded when its turn comes.
enum Piece<'a> {
    Copy(&'a [u8]),
    Owned(Vec<u8>),
    Tensor { fill: &'a Fill, kept: Vec<u8> },
}

impl Piece<'_> {
    fn length(&self) -> usize {
        match self {
            Self::Copy(bytes) => bytes.len(),
            Self::Owned(bytes) => bytes.len(),
            Self::Tensor { fill, kept } => {
                let body = body_length(fill, kept);
                header_length(INITIALIZER, body) + body
            }
        }
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Copy(bytes) => out.write_all(bytes),
            Self::Owned(bytes) => out.write_all(bytes),
            Self::Tensor { fill, kept } => {
                let mut header = Vec::new();
                put_header(INITIALIZER, body_length(fill, kept), &mut header);
                header.extend_from_slice(kept);
                put_header(9, fill.data.len(), &mut header);
                out.write_all(&header)?;
                out.write_all(&fill.data)
            }
        }
    }
}

fn body_length(fill: &Fill, kept: &[u8]) -> usize {
    kept.len() + header_length(9, fill.data.len()) + fill.data.len()
}

/// Writes the changed model. Without changes the output is the input, byte for byte. Fails with
/// `InvalidData` on malformed bytes and with `FileTooLarge` beyond the 2 GiB of a protobuf message.
pub fn write(model: &[u8], changes: &Changes, out: &mut dyn Write) -> io::Result<()> {
    let (pieces, length) = splice(model, changes)?;
    if length >= 2 << 30 {
        let message = "the filled model exceeds the 2 GiB of a protobuf message";
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    pieces.iter().try_for_each(|piece| piece.write(out))
}

fn splice<'a>(model: &'a [u8], changes: &'a Changes) -> io::Result<(Vec<Piece<'a>>, usize)> {
    let replaced: BTreeSet<&str> = changes.metadata.iter().map(|(key, _)| key.as_str()).collect();
    let mut pieces = Vec::new();
    let mut graph_seen = false;
    for field in fields(model) {
        let field = field.map_err(malformed)?;
        match field.number {
            // Parts of a message field that is given twice are merged; only the first is filled.
            GRAPH if field.kind == 2 && !graph_seen && changes.touches_graph() => {
                graph_seen = true;
                let inner = graph(field.payload, changes)?;
                let mut header = Vec::new();
                put_header(GRAPH, inner.iter().map(Piece::length).sum(), &mut header);
                pieces.push(Piece::Owned(header));
                pieces.extend(inner);
            }
            METADATA if field.kind == 2 && replaced.contains(string(field.payload, 1)) => {}
            _ => pieces.push(Piece::Copy(field.whole)),
        }
    }
    for (key, value) in &changes.metadata {
        let mut entry = Vec::new();
        put_bytes(1, key.as_bytes(), &mut entry);
        put_bytes(2, value.as_bytes(), &mut entry);
        let mut field = Vec::new();
        put_bytes(METADATA, &entry, &mut field);
        pieces.push(Piece::Owned(field));
    }
    let length = pieces.iter().map(Piece::length).sum();
    Ok((pieces, length))
}

impl Changes {
    fn touches_graph(&self) -> bool {
        !self.fills.is_empty() || !self.dropped_nodes.is_empty()
    }
}

fn graph<'a>(graph: &'a [u8], changes: &'a Changes) -> io::Result<Vec<Piece<'a>>> {
    let mut missing: BTreeMap<&str, &Fill> =
        changes.fills.iter().map(|fill| (fill.name.as_str(), fill)).collect();
    let mut pieces = Vec::new();
    let mut position = 0;
    // New initializers follow the last old one, or the last node; new inputs the last old one.
    let mut end_of_initializers = 0;
    let mut end_of_inputs = 0;
    let mut listed = BTreeSet::new();
    for field in fields(graph) {
        let field = field.map_err(malformed)?;
        match field.number {
            NODE => {
                position += 1;
                if changes.dropped_nodes.contains(&(position - 1)) {
                    continue;
                }
                pieces.push(Piece::Copy(field.whole));
                end_of_initializers = pieces.len();
            }
            INITIALIZER => {
                match missing.remove(string(field.payload, 8)) {
                    Some(fill) => pieces.push(Piece::Tensor { fill, kept: kept(field, fill)? }),
                    None => pieces.push(Piece::Copy(field.whole)),
                }
                end_of_initializers = pieces.len();
            }
            INPUT => {
                listed.insert(string(field.payload, 1));
                pieces.push(Piece::Copy(field.whole));
                end_of_inputs = pieces.len();
            }
            _ => pieces.push(Piece::Copy(field.whole)),
        }
    }
    if changes.list_as_inputs {
        let unlisted = changes.fills.iter().filter(|fill| !listed.contains(fill.name.as_str()));
        let inputs: Vec<Piece> = unlisted.map(|fill| Piece::Owned(value_info(fill))).collect();
        if end_of_inputs <= end_of_initializers {
            end_of_initializers += inputs.len();
        }
        pieces.splice(end_of_inputs..end_of_inputs, inputs);
    }
    let added = changes.fills.iter().filter(|fill| missing.contains_key(fill.name.as_str()));
    let added: Vec<Piece> =
        added.map(|fill| Piece::Tensor { fill, kept: declaration(fill) }).collect();
    pieces.splice(end_of_initializers..end_of_initializers, added);
    Ok(pieces)
}

/// Fields of a tensor that stay when its values are replaced: all but the values themselves, where
/// they are stored, and, if they differ, shape and type.
fn kept(field: Field, fill: &Fill) -> io::Result<Vec<u8>> {
    let mut kept = declaration(fill);
    // dims, data_type and name are written first; typed data, raw_data, external_data and
    // data_location go.
    let rewritten = [1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14];
    for field in fields(field.payload) {
        let field = field.map_err(malformed)?;
        if !rewritten.contains(&field.number) {
            kept.extend_from_slice(field.whole);
        }
    }
    Ok(kept)
}

fn declaration(fill: &Fill) -> Vec<u8> {
    let mut out = Vec::new();
    for &extent in &fill.shape {
        put_varint(1 << 3, &mut out);
        put_varint(extent as u64, &mut out);
    }
    put_varint(2 << 3, &mut out);
    put_varint(fill.data_type as u64, &mut out);
    put_bytes(8, fill.name.as_bytes(), &mut out);
    out
}

/// A graph input that declares a tensor.
fn value_info(fill: &Fill) -> Vec<u8> {
    let mut shape = Vec::new();
    for &extent in &fill.shape {
        let mut dimension = Vec::new();
        put_varint(1 << 3, &mut dimension);
        put_varint(extent as u64, &mut dimension);
        put_bytes(1, &dimension, &mut shape);
    }
    let mut tensor = Vec::new();
    put_varint(1 << 3, &mut tensor);
    put_varint(fill.data_type as u64, &mut tensor);
    put_bytes(2, &shape, &mut tensor);
    let mut kind = Vec::new();
    put_bytes(1, &tensor, &mut kind);
    let mut info = Vec::new();
    put_bytes(1, fill.name.as_bytes(), &mut info);
    put_bytes(2, &kind, &mut info);
    let mut field = Vec::new();
    put_bytes(INPUT, &info, &mut field);
    field
}

/// The last string with a field number, as protobuf reads it; empty if absent or not UTF-8.
fn string(message: &[u8], number: u64) -> &str {
    let mut found = "";
    for field in fields(message).map_while(Result::ok) {
        if field.number == number && field.kind == 2 {
            found = std::str::from_utf8(field.payload).unwrap_or("");
        }
    }
    found
}

fn malformed(_: Malformed) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "malformed protobuf message")
}
