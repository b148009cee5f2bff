//! Networks with trained accuracies, to hold scores against: those of a public table, or held-out
//! graphs that `bench sgd` trained.

use std::path::Path;

use bytes::Bytes;
use serde::Serialize;

use crate::{
    predictor::Seen,
    spaces::{Space, Table},
};

use super::{
    super::Failure,
    held_out::{HeldOut, held_out},
    sgd::SgdTable,
};

/// One network of a contest.
pub(super) struct Contestant {
    pub(super) name: String,
    pub(super) onnx: Bytes,
    /// Trained, in percent.
    pub(super) accuracy: f64,
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
    seen: &Seen,
) -> Result<(Origin, Vec<Contestant>), Failure> {
    match SgdTable::load(path) {
        Ok(trained) => of_held_out(path, &trained, seen),
        Err(_) => of_table(&Table::open(path)?, reduced),
    }
}

fn of_table(table: &Table, reduced: bool) -> Result<(Origin, Vec<Contestant>), Failure> {
    let contestant = |entry: &crate::spaces::Entry| Contestant {
        name: entry.name.clone(),
        onnx: if reduced { entry.code.reduced() } else { entry.code.onnx() }.into(),
        accuracy: entry.accuracy,
    };
    let origin = Origin {
        table: table.name.to_owned(),
        target: table.target.to_owned(),
        keys: table.keys,
        distinct: table.entries.len(),
    };
    Ok((origin, table.entries.iter().map(contestant).collect()))
}

/// Those with the longest training there is.
fn of_held_out(
    path: &Path,
    trained: &SgdTable,
    seen: &Seen,
) -> Result<(Origin, Vec<Contestant>), Failure> {
    let longest = trained.longest();
    let splits: Vec<String> = crate::corpus::splits()
        .iter()
        .filter(|split| !matches!(**split, "train" | "validation"))
        .map(|split| (*split).to_owned())
        .collect();
    let names = trained.names();
    let space = Space::load("cifar10")?;
    let sampled = names.iter().filter(|name| name.starts_with("cifar10-")).count() as u64;
    let mut sets = held_out(&space, &splits, u64::MAX)?;
    sets.extend(held_out(&space, &[], sampled)?);
    let contestant = |graph: HeldOut| {
        let accuracy = 100.0 * trained.curve(&graph.name).get(&longest)?;
        let new = !seen.graphs.as_ref().is_some_and(|graphs| graphs.contains(graph.fingerprint));
        new.then_some(Contestant { name: graph.name, onnx: graph.onnx, accuracy })
    };
    let contestants: Vec<Contestant> =
        sets.into_iter().flat_map(|set| set.graphs).filter_map(contestant).collect();
    let origin = Origin {
        table: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        target: format!("test accuracy after {longest} epochs of SGD"),
        keys: names.len(),
        distinct: contestants.len(),
    };
    Ok((origin, contestants))
}
