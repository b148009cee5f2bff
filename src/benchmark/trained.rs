//! Networks with trained accuracies, to hold scores against: those of a public table, or held-out
//! graphs that `bench sgd` trained.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use crate::{
    FileError, corpus,
    csv::Csv,
    fill::Network,
    observer::Observer,
    ops::Registry,
    predictor::Seen,
    rank::{Judge, Record, spread},
    spaces::{Code, Space, Table},
};

use super::{BenchmarkError, SgdTable, held_out, held_out::read};

/// One network that somebody trained.
#[derive(Clone, Debug)]
pub struct TrainedNetwork {
    /// Its name in the table.
    pub name: String,
    /// In percent.
    pub accuracy: f64,
    graph: Graph,
}

/// Where a network is to be had; those of a table are too many to be kept as files.
#[derive(Clone, Debug)]
enum Graph {
    Whole(Code),
    Reduced(Code),
    File(Bytes),
    Path(PathBuf),
}

impl TrainedNetwork {
    /// The network, resolved.
    pub fn network(&self) -> Result<Network, BenchmarkError> {
        match &self.graph {
            Graph::Whole(code) => read(&self.name, code.onnx().into()),
            Graph::Reduced(code) => read(&self.name, code.reduced().into()),
            Graph::File(onnx) => read(&self.name, onnx.clone()),
            Graph::Path(path) => Network::open(path).map_err(BenchmarkError::network),
        }
    }
}

/// The networks of a table.
#[derive(Clone, Debug)]
pub struct TrainedNetworks {
    /// What the table is called.
    pub table: String,
    /// What its accuracies are.
    pub target: String,
    /// Networks in the file.
    pub keys: usize,
    /// Those that differ; of held-out graphs, those that the predictor's training did not see.
    pub distinct: usize,
    /// All of these, or those that were drawn.
    pub networks: Vec<TrainedNetwork>,
}

impl TrainedNetworks {
    /// Reads a table. `target` names its column of accuracies where it has several. `reduced` builds one cell
    /// where a public benchmark stacks several; of held-out graphs those that `seen` knows are left out.
    pub fn open(
        path: &Path,
        target: Option<&str>,
        reduced: bool,
        seen: Option<&Seen>,
    ) -> Result<Self, BenchmarkError> {
        let bytes = std::fs::read(path).map_err(FileError::at(path))?;
        let problem = |problem| BenchmarkError::File { path: path.to_owned(), problem };
        let value = serde_json::from_slice::<Value>(&bytes).ok().filter(SgdTable::is_meant_by);
        match value {
            Some(value) => Self::held_out(path, &SgdTable::parse(value).map_err(problem)?, seen),
            None => {
                let table = Table::parse(&bytes, target);
                let table = table.map_err(|what| problem(format!("is no table: {what}")))?;
                Ok(Self::of_table(table, reduced))
            }
        }
    }

    /// Reads comma-separated values whose first column names networks: files `<name>.onnx` in a folder. Rows
    /// without such a file, or without an accuracy in the column `target`, are left out; of rows of one name
    /// the best counts.
    pub fn of_files(path: &Path, target: &str, folder: &Path) -> Result<Self, BenchmarkError> {
        let problem = |problem| BenchmarkError::File { path: path.to_owned(), problem };
        let text = std::fs::read_to_string(path).map_err(FileError::at(path))?;
        let csv = Csv::parse(&text).map_err(problem)?;
        let column = csv.column(target).ok_or_else(|| {
            problem(format!("has no column '{target}'; it has {}", csv.header.join(", ")))
        })?;
        let mut best: BTreeMap<&str, f64> = BTreeMap::new();
        for row in &csv.rows {
            let Ok(accuracy) = row[column].parse::<f64>() else { continue };
            let known = best.entry(&row[0]).or_insert(accuracy);
            *known = known.max(accuracy);
        }
        let network = |(name, accuracy): (&str, f64)| {
            let file = folder.join(format!("{name}.onnx"));
            let graph = Graph::Path(file.clone());
            file.is_file().then(|| TrainedNetwork { name: name.to_owned(), accuracy, graph })
        };
        let (keys, distinct) = (csv.rows.len(), best.len());
        Ok(Self {
            table: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            target: target.to_owned(),
            keys,
            distinct,
            networks: best.into_iter().filter_map(network).collect(),
        })
    }

    /// Keeps so many, drawn by a seed.
    pub fn draw(&mut self, count: usize, seed: u64) {
        self.networks.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        self.networks.truncate(count);
    }

    /// What is known of each network without training it, or why nothing is; `jobs` are judged at a time.
    pub fn records(
        &self,
        judge: &Judge,
        jobs: usize,
        observer: &dyn Observer,
    ) -> Vec<Result<Record, BenchmarkError>> {
        observer.begin(self.networks.len() as u64, 0);
        let score = |network: &TrainedNetwork| {
            let resolved = network.network()?;
            let record = judge.judge(&resolved.architecture, &resolved.registry)?;
            observer.advance(1);
            Ok(record)
        };
        let records = spread(self.networks.iter(), jobs, score);
        observer.end();
        records
    }

    fn of_table(table: Table, reduced: bool) -> Self {
        let graph = if reduced { Graph::Reduced } else { Graph::Whole };
        let network = |entry: crate::spaces::Entry| TrainedNetwork {
            name: entry.name,
            accuracy: entry.accuracy,
            graph: graph(entry.code),
        };
        Self {
            table: table.name.to_owned(),
            target: table.target,
            keys: table.keys,
            distinct: table.entries.len(),
            networks: table.entries.into_iter().map(network).collect(),
        }
    }

    /// Those with the longest training there is.
    fn held_out(
        path: &Path,
        trained: &SgdTable,
        seen: Option<&Seen>,
    ) -> Result<Self, BenchmarkError> {
        let longest = trained.longest();
        let seen = seen.and_then(|seen| seen.graphs.as_ref());
        let network = |name: String, fingerprint: u64, onnx: Bytes| {
            let accuracy = 100.0 * trained.curve(&name).get(&longest)?;
            let new = !seen.is_some_and(|seen| seen.contains(fingerprint));
            new.then_some(TrainedNetwork { name, accuracy, graph: Graph::File(onnx) })
        };
        let mut networks = Vec::new();
        let held_out_splits = corpus::splits().iter();
        for split in held_out_splits.filter(|split| !matches!(**split, "train" | "validation")) {
            let graphs = corpus::load(split, &Registry::standard())?.into_iter();
            networks.extend(graphs.filter_map(|it| network(it.name, it.fingerprint, it.onnx)));
        }
        let sampled = trained.names().filter(|name| name.starts_with("cifar10-")).count();
        for set in held_out(&Space::load("cifar10")?, &[], sampled as u64)? {
            let graphs = set.graphs.into_iter();
            networks.extend(graphs.filter_map(|it| network(it.name, it.fingerprint, it.onnx)));
        }
        Ok(Self {
            table: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            target: format!("test accuracy after {longest} epochs of SGD"),
            keys: trained.len(),
            distinct: networks.len(),
            networks,
        })
    }
}
