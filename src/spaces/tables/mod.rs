//! Public tables of trained accuracies, and the networks they speak of, rebuilt as graphs. A table
//! is a file of somebody else's, read by path; what is here is how its codes become networks.

mod darts;
mod nas_bench_101;
mod nas_bench_201;
mod nas_bench_macro;
mod transnas;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use crate::{FileError, csv::Csv};

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
    /// DARTS (Liu et al. 2019): a cell of sums of two operators.
    Darts(darts::Cell),
    /// NAS-Bench-101 (Ying et al. 2019): a cell with an operator on every vertex.
    NasBench101(nas_bench_101::Cell),
    /// NAS-Bench-201 (Dong and Yang 2020): a cell with an operator on every edge.
    NasBench201(nas_bench_201::Cell),
    /// NAS-Bench-Macro (Su et al. 2021): a chain of eight layers.
    NasBenchMacro(nas_bench_macro::Chain),
    /// TransNAS-Bench-101, micro (Duan et al. 2021): a cell with an operator on every edge.
    TransNas(transnas::Cell),
}

impl Code {
    /// A cell of NAS-Bench-201 from its string, for example
    /// `|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|`.
    pub fn nas_bench_201(text: &str) -> Result<Self, String> {
        nas_bench_201::Cell::parse(text).map(Self::NasBench201)
    }

    /// The weightless network as the benchmark trained it: for 32 × 32 images and ten classes, that of
    /// TransNAS-Bench-101 for 256 × 256 and a hundred.
    pub fn onnx(&self) -> Vec<u8> {
        match self {
            Self::Darts(cell) => cell.whole().encode(),
            Self::NasBench101(cell) => cell.built().encode(),
            Self::NasBench201(cell) => cell.built(nas_bench_201::CELLS).encode(),
            Self::NasBenchMacro(chain) => chain.built().encode(),
            Self::TransNas(cell) => cell.built().encode(),
        }
    }

    /// The same with one cell where the benchmark stacks several, three of DARTS; other networks have none
    /// to leave out.
    pub fn reduced(&self) -> Vec<u8> {
        match self {
            Self::NasBench201(cell) => cell.built(1).encode(),
            Self::NasBench101(cell) => cell.reduced().encode(),
            Self::Darts(cell) => cell.built(3).encode(),
            Self::NasBenchMacro(_) | Self::TransNas(_) => self.onnx(),
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
    pub target: String,
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

/// A kind of table in columns.
struct ColumnFormat {
    name: &'static str,
    /// The column of codes, by which a file of this kind is known.
    key: &'static str,
    /// Columns that are accuracies, or other figures of which more is better; the first if none is named.
    targets: &'static [&'static str],
    /// The canonical code of a key; `None` of what is no network.
    code: fn(&str) -> Result<Option<Code>, String>,
}

const COLUMN_FORMATS: [ColumnFormat; 2] = [darts::FORMAT, transnas::FORMAT];
const FORMATS: [Format; 3] =
    [nas_bench_101::FORMAT, nas_bench_201::FORMAT, nas_bench_macro::FORMAT];

impl Table {
    /// Reads a table: `nas-bench-macro_cifar10.json` as its authors publish it, the scores of
    /// NAS-Bench-Suite-Zero on NAS-Bench-101, an object from architecture strings of NAS-Bench-201 to
    /// accuracies in percent, or comma-separated values of DARTS cells or of TransNAS-Bench-101. Keys that mean
    /// the same network become one entry. `target` names a column of a table that has several.
    pub fn open(path: &Path, target: Option<&str>) -> Result<Self, TableError> {
        let bytes = std::fs::read(path).map_err(FileError::at(path))?;
        Self::parse(&bytes, target)
            .map_err(|problem| TableError::Content { path: path.to_owned(), problem })
    }

    /// As [`Table::open`], from the contents of the file.
    pub fn parse(bytes: &[u8], target: Option<&str>) -> Result<Self, String> {
        match (serde_json::from_slice(bytes), target) {
            (Ok(json), None) => Self::of_json(&json),
            (Ok(_), Some(target)) => Err(format!("has no column '{target}': it has one accuracy")),
            (Err(error), target) => match std::str::from_utf8(bytes).map(Csv::parse) {
                Ok(Ok(csv)) if csv.header.len() > 1 => Self::of_csv(&csv, target),
                _ => Err(error.to_string()),
            },
        }
    }

    fn of_json(json: &Value) -> Result<Self, String> {
        let found = FORMATS.iter().find_map(|format| Some((format, (format.records)(json)?)));
        let (format, records) = found.ok_or_else(unknown)?;
        let mut distinct = Distinct::default();
        for (key, record) in records {
            let code = (format.code)(key).map_err(|problem| format!("'{key}': {problem}"))?;
            distinct.add(key, code, (format.accuracy)(record))?;
        }
        Ok(distinct.table(format.name, format.target.to_owned()))
    }

    fn of_csv(csv: &Csv, target: Option<&str>) -> Result<Self, String> {
        let found = COLUMN_FORMATS.iter().find_map(|it| Some((it, csv.column(it.key)?)));
        let (format, key) = found.ok_or_else(unknown)?;
        let target = target.unwrap_or(format.targets[0]);
        let column = csv.column(target).filter(|_| format.targets.contains(&target));
        let column = column.ok_or_else(|| {
            format!("has no target '{target}'; it has {}", format.targets.join(", "))
        })?;
        let mut distinct = Distinct::default();
        for row in &csv.rows {
            let text = &row[key];
            let code = (format.code)(text).map_err(|problem| format!("'{text}': {problem}"))?;
            if let Some(code) = code {
                distinct.add(text, code, row[column].parse().ok())?;
            }
        }
        Ok(distinct.table(format.name, target.to_owned()))
    }
}

fn unknown() -> String {
    let names = FORMATS.iter().map(|format| format.name);
    let names: Vec<&str> = names.chain(COLUMN_FORMATS.iter().map(|format| format.name)).collect();
    format!("is no table of {}", names.join(", "))
}

/// Networks that differ, each with its first key and its accuracies.
#[derive(Default)]
struct Distinct {
    keys: usize,
    networks: BTreeMap<Code, (String, Code, Vec<f64>)>,
}

impl Distinct {
    fn add(&mut self, key: &str, code: Code, accuracy: Option<f64>) -> Result<(), String> {
        let accuracy = accuracy.filter(|accuracy| accuracy.is_finite());
        let accuracy = accuracy.ok_or_else(|| format!("'{key}': no accuracy"))?;
        self.keys += 1;
        let known = self.networks.entry(code.clone());
        let (name, own, known) = known.or_insert_with(|| (key.to_owned(), code.clone(), vec![]));
        if key < name.as_str() {
            (*name, *own) = (key.to_owned(), code);
        }
        known.push(accuracy);
        Ok(())
    }

    fn table(self, name: &'static str, target: String) -> Table {
        let entry = |(name, code, known): (String, Code, Vec<f64>)| Entry {
            name,
            code,
            accuracy: known.iter().sum::<f64>() / known.len() as f64,
            copies: known.len(),
        };
        let entries = self.networks.into_values().map(entry).collect();
        Table { name, target, keys: self.keys, entries }
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
