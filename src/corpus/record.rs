//! Splits as files: an xz stream of length-delimited protobuf records, one a graph.

use std::{
    fmt::Display,
    io::{self, Read, Write},
};

use bytes::Bytes;
use liblzma::{bufread::XzDecoder, write::XzEncoder};
use prost::Message;
use serde::{
    Deserialize,
    de::{IntoDeserializer, value::Error as ValueError},
};

use super::{CorpusError, CorpusGraph};
use crate::spaces::Style;

/// Effort of the compression; its memory is 64 MiB.
const LEVEL: u32 = 9;
/// A split is not larger than this when unpacked.
const LARGEST: u64 = 1 << 30;

/// A [`CorpusGraph`] on the wire.
#[derive(Clone, PartialEq, Message)]
struct Record {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(uint64, optional, tag = "2")]
    seed: Option<u64>,
    #[prost(fixed64, tag = "3")]
    fingerprint: u64,
    /// `ModelProto`; empty where the seed stands for it.
    #[prost(bytes = "bytes", tag = "4")]
    onnx: Bytes,
    /// Family, norm and activation, as a space's TOML calls them; empty where nothing was drawn.
    #[prost(string, repeated, tag = "5")]
    style: Vec<String>,
}

/// The `.archs.xz` of graphs: equal graphs are equal bytes.
pub fn pack(graphs: &[CorpusGraph]) -> io::Result<Vec<u8>> {
    let mut encoder = XzEncoder::new(Vec::new(), LEVEL);
    for graph in graphs {
        let record = Record {
            name: graph.name.clone(),
            seed: graph.seed,
            fingerprint: graph.fingerprint,
            onnx: graph.onnx.clone(),
            style: graph.style.map(words).unwrap_or_default(),
        };
        encoder.write_all(&record.encode_length_delimited_to_vec())?;
    }
    encoder.finish()
}

/// The graphs of a `.archs.xz`; the split is for messages.
pub fn unpack(split: &str, archs: &[u8]) -> Result<Vec<CorpusGraph>, CorpusError> {
    let refuse = |problem: &dyn Display| CorpusError::Stored {
        split: split.to_owned(),
        problem: problem.to_string(),
    };
    let mut records = Vec::new();
    let mut decoder = XzDecoder::new(archs).take(LARGEST);
    decoder.read_to_end(&mut records).map_err(|error| refuse(&error))?;
    let mut records = Bytes::from(records);
    let mut graphs = Vec::new();
    while !records.is_empty() {
        let record =
            Record::decode_length_delimited(&mut records).map_err(|error| refuse(&error))?;
        graphs.push(CorpusGraph {
            name: record.name,
            seed: record.seed,
            style: style(&record.style).map_err(|error| refuse(&error))?,
            fingerprint: record.fingerprint,
            onnx: record.onnx,
        });
    }
    Ok(graphs)
}

fn words(style: Style) -> Vec<String> {
    let Style { family, norm, activation } = style;
    vec![word(family), word(norm), word(activation)]
}

/// The name that an enumeration without fields has in TOML.
fn word(value: impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

fn style(words: &[String]) -> Result<Option<Style>, ValueError> {
    let [family, norm, activation] = words else { return Ok(None) };
    fn read<'a, T: Deserialize<'a>>(word: &'a str) -> Result<T, ValueError> {
        T::deserialize(word.into_deserializer())
    }
    Ok(Some(Style { family: read(family)?, norm: read(norm)?, activation: read(activation)? }))
}
