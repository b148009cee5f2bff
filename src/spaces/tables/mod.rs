//! Public tables of trained accuracies, and the networks they speak of, rebuilt as graphs. A table
//! is a file of somebody else's, read by path; what is here is how its codes become networks.

mod nas_bench_101;
mod nas_bench_201;
mod nas_bench_macro;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use crate::FileError;

use super::{
    cell::{EdgeCell, VertexCell},
    plan::{Block, Body, Down, Head, Norm, Plan, Stage, StemPlan, Theme},
};

/// A table that could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// The file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// Its contents.
    #[error("{path}: {problem}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

/// What a table's key says; [`Code::onnx`] builds it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Code {
    /// NAS-Bench-101 (Ying et al. 2019): a cell with an operator on every vertex.
    NasBench101(nas_bench_101::Cell),
    /// NAS-Bench-201 (Dong and Yang 2020): a cell with an operator on every edge.
    NasBench201(nas_bench_201::Cell),
    /// NAS-Bench-Macro (Su et al. 2021): a chain of eight layers.
    NasBenchMacro(nas_bench_macro::Chain),
}

impl Code {
    /// A cell of NAS-Bench-201 from its string, for example
    /// `|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|`.
    pub fn nas_bench_201(text: &str) -> Result<Self, String> {
        nas_bench_201::Cell::parse(text).map(Self::NasBench201)
    }

    /// The weightless network for 32 × 32 images and ten classes, as the benchmark trained it.
    pub fn onnx(&self) -> Vec<u8> {
        match self {
            Self::NasBench101(cell) => cell.built().encode(),
            Self::NasBench201(cell) => cell.built(nas_bench_201::CELLS).encode(),
            Self::NasBenchMacro(chain) => chain.built().encode(),
        }
    }

    /// The same with one cell where the benchmark stacks several; chains have none to leave out.
    pub fn reduced(&self) -> Vec<u8> {
        match self {
            Self::NasBench201(cell) => cell.built(1).encode(),
            Self::NasBench101(cell) => cell.reduced().encode(),
            Self::NasBenchMacro(chain) => chain.built().encode(),
        }
    }
}

/// One distinct network of a table.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The first of the keys that mean it.
    pub name: String,
    /// The network.
    pub code: Code,
    /// Trained accuracy in percent, the mean over all its keys.
    pub accuracy: f64,
    /// Keys that mean it.
    pub copies: usize,
}

/// The distinct networks of a table, in the order of their codes.
#[derive(Clone, Debug)]
pub struct Table {
    /// What it is called.
    pub name: &'static str,
    /// What its accuracies are.
    pub target: &'static str,
    /// Keys in the file.
    pub keys: usize,
    /// Networks that differ.
    pub entries: Vec<Entry>,
}

/// A kind of table.
struct Format {
    name: &'static str,
    target: &'static str,
    /// The object whose keys are the networks, if a file is of this kind.
    records: fn(&Value) -> Option<&Map<String, Value>>,
    /// The canonical code of a key: equal where two keys mean the same network.
    code: fn(&str) -> Result<Code, String>,
    accuracy: fn(&Value) -> Option<f64>,
}

const FORMATS: [Format; 3] =
    [nas_bench_101::FORMAT, nas_bench_201::FORMAT, nas_bench_macro::FORMAT];

impl Table {
    /// Reads a table: `nas-bench-macro_cifar10.json` as its authors publish it, the scores of
    /// NAS-Bench-Suite-Zero on NAS-Bench-101, or an object from architecture strings of
    /// NAS-Bench-201 to accuracies in percent. Keys that mean the same network become one entry.
    pub fn open(path: &Path) -> Result<Self, TableError> {
        let bytes = std::fs::read(path).map_err(FileError::at(path))?;
        Self::parse(&bytes)
            .map_err(|problem| TableError::Content { path: path.to_owned(), problem })
    }

    /// As [`Table::open`], from the contents of the file.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let json: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let found = FORMATS.iter().find_map(|format| Some((format, (format.records)(&json)?)));
        let (format, records) = found.ok_or_else(|| {
            let known: Vec<&str> = FORMATS.iter().map(|format| format.name).collect();
            format!("is no table of {}", known.join(", "))
        })?;
        let mut distinct: BTreeMap<Code, (String, Code, Vec<f64>)> = BTreeMap::new();
        for (key, record) in records {
            let code = (format.code)(key).map_err(|problem| format!("'{key}': {problem}"))?;
            let accuracy = (format.accuracy)(record).filter(|accuracy| accuracy.is_finite());
            let accuracy = accuracy.ok_or_else(|| format!("'{key}': no accuracy"))?;
            let known = distinct.entry(code.clone());
            let (name, own, known) = known.or_insert_with(|| (key.clone(), code.clone(), vec![]));
            if key < name {
                (*name, *own) = (key.clone(), code);
            }
            known.push(accuracy);
        }
        let entries = distinct.into_values().map(|(name, code, known)| Entry {
            name,
            code,
            accuracy: known.iter().sum::<f64>() / known.len() as f64,
            copies: known.len(),
        });
        let entries = entries.collect();
        Ok(Self { name: format.name, target: format.target, keys: records.len(), entries })
    }
}

/// Convolution stem and stages of one theme: batch normalisation, ReLU, no biases.
fn plan(stem: usize, stages: Vec<Stage>) -> Plan {
    let theme = Theme {
        norm: Norm::Batch,
        group_size: 1,
        activation: super::Activation::Relu,
        bias: false,
        early: false,
        averaging_shortcut: false,
        squeeze: None,
        layer_scale: false,
        pointwise: false,
        unpadded: false,
    };
    let stem = StemPlan { width: stem, kernel: 3, stride: 1, pool: false, patches: false };
    Plan { theme, body: Body::Stages { stem, stages, head: Head::Linear.into() } }
}

/// A CIFAR-10 network.
fn build(plan: &Plan, name: &str) -> super::build::Built {
    let (builder, logits, _) = super::block::network(plan, name, [3, 32, 32], 10);
    builder.build(&logits)
}

#[cfg(test)]
mod tests;
