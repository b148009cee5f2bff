//! Writing a filled model by splicing initializers into the original bytes. Every field that is
//! not touched is copied as it stands, known to this crate or not; values are encoded as they are
//! written, so that nothing is held twice.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
};

use prost::Message;

use super::{
    MessageWriter, Model, OnnxError,
    external::Located,
    messages::{TensorHeader, ValueInfoProto},
    tensor::{byte_length, encode},
    value_info,
    wire::{Field, Malformed, fields, payloads},
};

/// A tensor to be written.
#[derive(Clone, Debug)]
pub struct Fill<'a> {
    /// Value name.
    pub name: &'a str,
    /// `TensorProto.data_type`, one of the four float types.
    pub data_type: i32,
    /// Extents.
    pub shape: &'a [usize],
    /// Values, row-major.
    pub values: Cow<'a, [f32]>,
}

/// A node of one output and no attributes.
#[derive(Clone, Debug)]
pub struct FrontNode<'a> {
    /// Its operator, of the default domain.
    pub op_type: &'static str,
    /// What it reads.
    pub inputs: Vec<&'a str>,
    /// What it makes, which is its name, too.
    pub output: &'a str,
}

/// What to change in a model.
#[derive(Clone, Debug, Default)]
pub struct Changes<'a> {
    /// Initializers to replace, in place, or to add at the end.
    pub fills: Vec<Fill<'a>>,
    /// New extents of values and initializers, by name. Fills may have them, outputs are declared with them, and what
    /// the file declares of other values of these names is left out.
    pub shapes: BTreeMap<&'a str, &'a [usize]>,
    /// Positions of nodes whose outputs become initializers.
    pub dropped_nodes: BTreeSet<usize>,
    /// Nodes that come before all others.
    pub front: Vec<FrontNode<'a>>,
    /// Inputs of nodes that read another value than before, by position and slot; the slot behind the
    /// last one is added.
    pub inputs: BTreeMap<[usize; 2], &'a str>,
    /// Whether new initializers are listed as graph inputs too, as IR versions below 4 demand.
    pub list_as_inputs: bool,
    /// Whether initializers that are kept and whose data is in another file are brought into this
    /// one: for a copy that goes to another folder.
    pub inline_external: bool,
    /// Entries to append to the model's `metadata_props`; present keys of the same name are
    /// replaced.
    pub metadata: Vec<(String, String)>,
}

const GRAPH: u64 = 7;
const METADATA: u64 = 14;
const NODE: u64 = 1;
/// `NodeProto.input`
const NODE_INPUT: u64 = 1;
/// `NodeProto.output`
const NODE_OUTPUT: u64 = 2;
/// `NodeProto.name`
const NODE_NAME: u64 = 3;
/// `NodeProto.op_type`
const NODE_TYPE: u64 = 4;
const INITIALIZER: u64 = 5;
const INPUT: u64 = 11;
const OUTPUT: u64 = 12;
const VALUE_INFO: u64 = 13;
const RAW_DATA: u64 = 9;
/// Fields of a tensor that hold its values or say where they are.
const VALUES: [u64; 10] = [3, 4, 5, 6, 7, RAW_DATA, 10, 11, 13, 14];
/// What a protobuf message may hold.
const LARGEST: usize = (2 << 30) - 1;
/// Values that are encoded at a time.
const CHUNK: usize = 1 << 16;

/// Writes the changed model. Without changes the output is the input, byte for byte.
pub fn write(model: &Model, changes: &Changes, out: &mut dyn Write) -> io::Result<()> {
    let pieces = Splicer { model, changes }.model().map_err(io::Error::other)?;
    let length: usize = pieces.iter().map(Piece::length).sum();
    if length > LARGEST {
        let message = format!(
            "{}: with its weights the model takes {length} bytes, more than the 2 GiB of a protobuf message",
            model.name()
        );
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    pieces.iter().try_for_each(|piece| piece.write(out))
}

/// A piece of the output: original bytes, or a tensor whose values come when its turn comes.
enum Piece<'a> {
    Copy(&'a [u8]),
    Owned(Vec<u8>),
    Tensor { declaration: Vec<u8>, values: Source<'a>, length: usize },
}

enum Source<'a> {
    Fill(&'a Fill<'a>),
    External(Located),
}

impl<'a> Piece<'a> {
    /// An initializer of which everything but the values is given.
    fn tensor(declaration: &[u8], values: Source<'a>, length: usize) -> Self {
        let header = MessageWriter::of(|out| out.header(RAW_DATA, length));
        let declaration = MessageWriter::of(|out| {
            out.header(INITIALIZER, declaration.len() + header.len() + length);
            out.copy(declaration);
            out.copy(&header);
        });
        Self::Tensor { declaration, values, length }
    }

    fn length(&self) -> usize {
        match self {
            Self::Copy(bytes) => bytes.len(),
            Self::Owned(bytes) => bytes.len(),
            Self::Tensor { declaration, length, .. } => declaration.len() + length,
        }
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Copy(bytes) => out.write_all(bytes),
            Self::Owned(bytes) => out.write_all(bytes),
            Self::Tensor { declaration, values, .. } => {
                out.write_all(declaration)?;
                match values {
                    Source::External(located) => located.copy(out),
                    Source::Fill(fill) => fill.values.chunks(CHUNK).try_for_each(|chunk| {
                        // The type was checked when the piece was made.
                        out.write_all(&encode(chunk, fill.data_type).unwrap_or_default())
                    }),
                }
            }
        }
    }
}

struct Splicer<'a> {
    model: &'a Model,
    changes: &'a Changes<'a>,
}

impl<'a> Splicer<'a> {
    fn model(&self) -> Result<Vec<Piece<'a>>, OnnxError> {
        let changes = self.changes;
        if changes.inline_external
            && let Some(tensor) = self.model.inner_external()
        {
            let name = tensor.name.as_deref().unwrap_or_default();
            let problem = "its data is in another file and it is not an initializer of the graph; store it in the model file";
            return Err(self.model.refuse(name, problem.to_owned()));
        }
        let replaced: BTreeSet<&str> =
            changes.metadata.iter().map(|(key, _)| key.as_str()).collect();
        let mut pieces = Vec::new();
        for field in fields(self.model.bytes()) {
            let field = field.map_err(|_| self.malformed())?;
            match field.number {
                GRAPH if self.touches_graph() => {
                    let inner = self.graph(field.payload)?;
                    let length = inner.iter().map(Piece::length).sum();
                    let header = MessageWriter::of(|out| out.header(GRAPH, length));
                    pieces.push(Piece::Owned(header));
                    pieces.extend(inner);
                }
                METADATA if replaced.contains(string(field.payload, 1)) => {}
                _ => pieces.push(Piece::Copy(field.whole)),
            }
        }
        for (key, value) in &changes.metadata {
            pieces.push(Piece::Owned(MessageWriter::of(|out| {
                out.message(METADATA, |entry| {
                    entry.field(1, key);
                    entry.field(2, value);
                });
            })));
        }
        Ok(pieces)
    }

    fn touches_graph(&self) -> bool {
        let changes = self.changes;
        let unchanged = changes.fills.is_empty()
            && changes.dropped_nodes.is_empty()
            && changes.front.is_empty()
            && changes.shapes.is_empty()
            && changes.inputs.is_empty();
        !unchanged || changes.inline_external
    }

    fn graph(&self, graph: &'a [u8]) -> Result<Vec<Piece<'a>>, OnnxError> {
        let changes = self.changes;
        let mut missing = BTreeMap::new();
        for fill in &changes.fills {
            self.check(fill)?;
            if missing.insert(fill.name, fill).is_some() {
                return Err(self.model.refuse(fill.name, "is filled twice".to_owned()));
            }
        }
        let mut pieces = Vec::new();
        let mut position = 0;
        // New initializers follow the last old one, or the last node; new inputs the last old one.
        let mut end_of_initializers = 0;
        let mut end_of_inputs = 0;
        let mut listed = BTreeSet::new();
        for field in fields(graph) {
            let field = field.map_err(|_| self.malformed())?;
            match field.number {
                NODE => {
                    if position == 0 {
                        pieces.extend(changes.front.iter().map(front));
                    }
                    position += 1;
                    if changes.dropped_nodes.contains(&(position - 1)) {
                        continue;
                    }
                    pieces.push(self.node(position - 1, field));
                    end_of_initializers = pieces.len();
                }
                INITIALIZER => {
                    let fill = missing.remove(string(field.payload, 8));
                    pieces.push(self.initializer(field, fill)?);
                    end_of_initializers = pieces.len();
                }
                INPUT => {
                    listed.insert(string(field.payload, 1));
                    pieces.push(self.declared(field)?);
                    end_of_inputs = pieces.len();
                }
                OUTPUT => pieces.push(self.declared(field)?),
                VALUE_INFO if changes.shapes.contains_key(string(field.payload, 1)) => {}
                _ => pieces.push(Piece::Copy(field.whole)),
            }
        }
        if changes.list_as_inputs {
            let unlisted = changes.fills.iter().filter(|fill| !listed.contains(fill.name));
            let inputs: Vec<Piece> = unlisted.map(|fill| Piece::Owned(input(fill))).collect();
            if end_of_inputs <= end_of_initializers {
                end_of_initializers += inputs.len();
            }
            pieces.splice(end_of_inputs..end_of_inputs, inputs);
        }
        let added: Vec<Piece> = changes
            .fills
            .iter()
            .filter(|fill| missing.contains_key(fill.name))
            .map(|fill| filled(&declaration(fill), fill))
            .collect();
        pieces.splice(end_of_initializers..end_of_initializers, added);
        Ok(pieces)
    }

    /// What is said of an input or output of the graph, with new extents where they differ.
    fn declared(&self, field: Field<'a>) -> Result<Piece<'a>, OnnxError> {
        let Some(shape) = self.changes.shapes.get(string(field.payload, 1)) else {
            return Ok(Piece::Copy(field.whole));
        };
        let mut info = ValueInfoProto::decode(field.payload).map_err(|_| self.malformed())?;
        let tensor = info.r#type.as_mut().and_then(|kind| kind.tensor_type.as_mut());
        let axes = tensor.and_then(|tensor| tensor.shape.as_mut()).map(|shape| &mut shape.dim);
        for (axis, &extent) in axes.into_iter().flatten().zip(shape.iter()) {
            if let Some(old) = &mut axis.dim_value {
                *old = extent as i64;
            }
        }
        let info = info.encode_to_vec();
        Ok(Piece::Owned(MessageWriter::of(|out| out.field(field.number, &info))))
    }

    /// A node with other inputs, or as it stands.
    fn node(&self, position: usize, field: Field<'a>) -> Piece<'a> {
        let changed = self.changes.inputs.range([position, 0]..=[position, usize::MAX]);
        let changed: BTreeMap<usize, &str> =
            changed.map(|(&[_, slot], &name)| (slot, name)).collect();
        if changed.is_empty() {
            return Piece::Copy(field.whole);
        }
        let old = payloads(field.payload, NODE_INPUT).count();
        let node = MessageWriter::of(|out| {
            let slots = old.max(changed.last_key_value().map_or(0, |(slot, _)| slot + 1));
            let mut read = payloads(field.payload, NODE_INPUT);
            for slot in 0..slots {
                let before = read.next().unwrap_or_default();
                match changed.get(&slot) {
                    Some(name) => out.field(NODE_INPUT, name),
                    None => out.field(NODE_INPUT, before),
                }
            }
            for other in fields(field.payload).map_while(Result::ok) {
                if other.number != NODE_INPUT {
                    out.copy(other.whole);
                }
            }
        });
        Piece::Owned(MessageWriter::of(|out| out.field(NODE, &node)))
    }

    /// An initializer with new values, with its values brought in, or as it stands.
    fn initializer(
        &self,
        field: Field<'a>,
        fill: Option<&'a Fill>,
    ) -> Result<Piece<'a>, OnnxError> {
        if fill.is_none() && !self.changes.inline_external {
            return Ok(Piece::Copy(field.whole));
        }
        let header = TensorHeader::decode(field.payload).map_err(|_| self.malformed())?;
        let name = header.name.as_deref().unwrap_or_default();
        let data_type = header.data_type.unwrap_or(0);
        let kept: Vec<u8> = fields(field.payload)
            .map_while(Result::ok)
            .filter(|field| !VALUES.contains(&field.number))
            .flat_map(|field| field.whole)
            .copied()
            .collect();
        if let Some(fill) = fill {
            if self.changes.shapes.get(name) == Some(&fill.shape) && data_type == fill.data_type {
                return Ok(filled(&declaration(fill), fill));
            }
            let same_shape = header.dims.len() == fill.shape.len()
                && header.dims.iter().zip(fill.shape).all(|(&old, &new)| old == new as i64);
            if !same_shape || data_type != fill.data_type {
                let problem = format!(
                    "has shape {:?} and type number {data_type}, its new values {:?} and {}",
                    header.dims, fill.shape, fill.data_type
                );
                return Err(self.model.refuse(name, problem));
            }
            return Ok(filled(&kept, fill));
        }
        if header.data_location != Some(1) {
            return Ok(Piece::Copy(field.whole));
        }
        let located = self.model.locate(name, &header.external_data, &header.dims, data_type)?;
        let length = located.len();
        Ok(Piece::tensor(&kept, Source::External(located), length))
    }

    fn check(&self, fill: &Fill) -> Result<(), OnnxError> {
        let refuse = |problem| Err(self.model.refuse(fill.name, problem));
        if encode(&[], fill.data_type).is_none() {
            return refuse(format!("type number {} is not a float type", fill.data_type));
        }
        match fill.shape.iter().product::<usize>() == fill.values.len() {
            true => Ok(()),
            false => refuse(format!(
                "{} new values do not make shape {:?}",
                fill.values.len(),
                fill.shape
            )),
        }
    }

    /// The bytes were checked when the model was read.
    fn malformed(&self) -> OnnxError {
        OnnxError::NotOnnx {
            file: self.model.name().to_owned(),
            problem: "malformed protobuf message".to_owned(),
        }
    }
}

fn front<'a>(node: &FrontNode) -> Piece<'a> {
    Piece::Owned(MessageWriter::of(|out| {
        out.message(NODE, |out| {
            node.inputs.iter().for_each(|input| out.field(NODE_INPUT, input));
            out.field(NODE_OUTPUT, node.output);
            out.field(NODE_NAME, node.output);
            out.field(NODE_TYPE, node.op_type);
        });
    }))
}

fn filled<'a>(declaration: &[u8], fill: &'a Fill) -> Piece<'a> {
    let length = byte_length(fill.shape, fill.data_type).unwrap_or(0);
    Piece::tensor(declaration, Source::Fill(fill), length)
}

fn declaration(fill: &Fill) -> Vec<u8> {
    MessageWriter::of(|out| {
        for &extent in fill.shape {
            out.int(1, extent as u64);
        }
        out.int(2, fill.data_type as u64);
        out.field(8, fill.name);
    })
}

/// A graph input that declares a tensor.
fn input(fill: &Fill) -> Vec<u8> {
    MessageWriter::of(|graph| {
        let data_type = fill.data_type as u64;
        graph.message(INPUT, |info| value_info(info, fill.name, data_type, None, fill.shape));
    })
}

/// The last string with a field number, as protobuf reads it; empty if absent or not UTF-8.
fn string(message: &[u8], number: u64) -> &str {
    let mut found = "";
    for field in fields(message).map_while(Result::<_, Malformed>::ok) {
        if field.number == number && field.kind == 2 {
            found = std::str::from_utf8(field.payload).unwrap_or("");
        }
    }
    found
}
