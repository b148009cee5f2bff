//! Networks with trained accuracies, to hold scores against: those of a public table, or held-out
//! graphs that `bench sgd` trained.

use std::path::Path;

use bytes::Bytes;
use serde::Serialize;

use crate::{
    corpus,
    ops::Registry,
    predictor::Seen,
    spaces::{Code, Space, Table},
};

use super::{super::Failure, held_out::held_out, sgd::SgdTable};

/// One network of a contest.
pub(super) struct Contestant {
    pub(super) name: String,
    /// Trained, in percent.
    pub(super) accuracy: f64,
    graph: Graph,
}

/// Where a network is to be had; those of a table are too many to be kept as files.
enum Graph {
    Whole(Code),
    Reduced(Code),
    File(Bytes),
}

impl Contestant {
    /// The weightless network.
    pub(super) fn onnx(&self) -> Bytes {
        match &self.graph {
            Graph::Whole(code) => code.onnx().into(),
            Graph::Reduced(code) => code.reduced().into(),
            Graph::File(onnx) => onnx.clone(),
        }
    }
}

/// What the accuracies are of.
#[derive(Debug, Serialize)]
pub(super) struct Origin {
    pub(super) table: String,
    /// What its accuracies are.
    pub(super) target: String,
    /// Networks in the file.
    pub(super) keys: usize,
    /// Those that differ; of held-out graphs, those that the predictor's training did not see.
    pub(super) distinct: usize,
}

/// The networks of a file. `reduced` builds one cell where a public benchmark stacks several; of
/// held-out graphs those that `seen` knows are left out.
pub(super) fn contest(
    path: &Path,
    reduced: bool,
    seen: Option<&Seen>,
) -> Result<(Origin, Vec<Contestant>), Failure> {
    match SgdTable::load(path) {
        Ok(trained) => of_held_out(path, &trained, seen),
        Err(_) => Ok(of_table(Table::open(path)?, reduced)),
    }
}

fn of_table(table: Table, reduced: bool) -> (Origin, Vec<Contestant>) {
    let graph = if reduced { Graph::Reduced } else { Graph::Whole };
    let origin = Origin {
        table: table.name.to_owned(),
        target: table.target.to_owned(),
        keys: table.keys,
        distinct: table.entries.len(),
    };
    let entries = table.entries.into_iter();
    let contestants = entries.map(|entry| Contestant {
        name: entry.name,
        accuracy: entry.accuracy,
        graph: graph(entry.code),
    });
    (origin, contestants.collect())
}

/// Those with the longest training there is.
fn of_held_out(
    path: &Path,
    trained: &SgdTable,
    seen: Option<&Seen>,
) -> Result<(Origin, Vec<Contestant>), Failure> {
    let longest = trained.longest();
    let seen = seen.and_then(|seen| seen.graphs.as_ref());
    let contestant = |name: String, fingerprint: u64, onnx: Bytes| {
        let accuracy = 100.0 * trained.curve(&name).get(&longest)?;
        let new = !seen.is_some_and(|seen| seen.contains(fingerprint));
        new.then_some(Contestant { name, accuracy, graph: Graph::File(onnx) })
    };
    let mut contestants = Vec::new();
    for split in corpus::splits().iter().filter(|split| !matches!(**split, "train" | "validation"))
    {
        let graphs = corpus::load(split, &Registry::standard())?.into_iter();
        contestants.extend(graphs.filter_map(|it| contestant(it.name, it.fingerprint, it.onnx)));
    }
    let names = trained.names();
    let sampled = names.iter().filter(|name| name.starts_with("cifar10-")).count() as u64;
    for set in held_out(&Space::load("cifar10")?, &[], sampled)? {
        let graphs = set.graphs.into_iter();
        contestants.extend(graphs.filter_map(|it| contestant(it.name, it.fingerprint, it.onnx)));
    }
    let origin = Origin {
        table: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        target: format!("test accuracy after {longest} epochs of SGD"),
        keys: names.len(),
        distinct: contestants.len(),
    };
    Ok((origin, contestants))
}
