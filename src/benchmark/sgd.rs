//! Plain SGD from random initialisation: the learning curves that predictions are set beside.

use std::{
    collections::BTreeMap,
    fs, io,
    path::Path,
    sync::{Mutex, PoisonError},
};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    FileError,
    data::{Augmentation, Dataset},
    evaluate::{Scores, judge, train_with_sgd},
    execute::Program,
    fill::{Network, fills},
    graph::Weights,
    observer::Observer,
    onnx::{atomic, splice},
    predictor::InputConfig,
};

use super::{BenchmarkError, HeldOut, candidate::file_of};

/// Version of the table's schema.
const SCHEMA: u32 = 1;

/// What training one graph for some epochs gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SgdScores {
    /// Test images.
    pub images: usize,
    /// Accuracy.
    pub top1: f64,
    /// In nats.
    pub cross_entropy: f64,
    /// Expected calibration error.
    pub ece: f64,
    /// Images with a logit that is not finite.
    pub non_finite: usize,
}

impl From<Scores> for SgdScores {
    fn from(scores: Scores) -> Self {
        let Scores { images, top1, cross_entropy, ece, non_finite, .. } = scores;
        Self { images, top1, cross_entropy, ece, non_finite }
    }
}

/// Learning curves by graph and epochs. All are of the same images and seed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SgdTable {
    schema: u32,
    data_hash: String,
    #[serde(default, skip_serializing_if = "is_zero")]
    seed: u64,
    graphs: BTreeMap<String, BTreeMap<String, SgdScores>>,
}

fn is_zero(seed: &u64) -> bool {
    *seed == 0
}

impl SgdTable {
    /// A table without a curve, for training images of a hash and a seed.
    pub fn new(data_hash: String, seed: u64) -> Self {
        Self { schema: SCHEMA, data_hash, seed, graphs: BTreeMap::new() }
    }

    /// Reads a table.
    pub fn load(path: &Path) -> Result<Self, BenchmarkError> {
        let bytes = fs::read(path).map_err(FileError::at(path))?;
        let problem = |problem| BenchmarkError::File { path: path.to_owned(), problem };
        let value = serde_json::from_slice(&bytes)
            .map_err(|error| problem(format!("is no table of 'bench sgd': {error}")))?;
        Self::parse(value).map_err(problem)
    }

    /// Whether a JSON file means to be a table, sound or not.
    pub(super) fn is_meant_by(value: &Value) -> bool {
        value.get("data_hash").is_some() && value.get("graphs").is_some()
    }

    pub(super) fn parse(value: Value) -> Result<Self, String> {
        if !Self::is_meant_by(&value) {
            return Err("is no table of 'bench sgd'".to_owned());
        }
        match value["schema"].as_u64() {
            Some(schema) if schema == u64::from(SCHEMA) => serde_json::from_value(value)
                .map_err(|error| format!("is a damaged table of 'bench sgd': {error}")),
            schema => Err(format!(
                "is a table of 'bench sgd' of schema {}, this version reads {SCHEMA}",
                schema.map_or("unknown".to_owned(), |schema| schema.to_string())
            )),
        }
    }

    /// The table to go on with: that of a file, if there is one, or a new one. A file that is no table,
    /// or one of other training images, another seed or another number of test images, is an error and
    /// stays as it is.
    pub fn resume(
        path: &Path,
        data_hash: &str,
        seed: u64,
        images: usize,
    ) -> Result<Self, BenchmarkError> {
        let table = match Self::load(path) {
            Err(BenchmarkError::Io(FileError { error, .. }))
                if error.kind() == io::ErrorKind::NotFound =>
            {
                return Ok(Self::new(data_hash.to_owned(), seed));
            }
            other => other?,
        };
        let scores = || table.graphs.values().flat_map(BTreeMap::values);
        let differs = if table.data_hash != data_hash {
            "other training images".to_owned()
        } else if table.seed != seed {
            format!("seed {}", table.seed)
        } else if let Some(other) = scores().find(|scores| scores.images != images) {
            format!("{} test images", other.images)
        } else {
            return Ok(table);
        };
        let problem = format!("holds results of {differs}; choose another file");
        Err(BenchmarkError::File { path: path.to_owned(), problem })
    }

    /// Graphs that have a curve.
    pub fn len(&self) -> usize {
        self.graphs.len()
    }

    /// Whether no graph has one.
    pub fn is_empty(&self) -> bool {
        self.graphs.is_empty()
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.graphs.keys().map(String::as_str)
    }

    /// Top-1 of a graph by epochs of training.
    pub fn curve(&self, graph: &str) -> BTreeMap<usize, f64> {
        let known = self.graphs.get(graph).into_iter().flatten();
        known.filter_map(|(epochs, of)| Some((epochs.parse().ok()?, of.top1))).collect()
    }

    /// Epochs of the longest training there is.
    pub fn longest(&self) -> usize {
        let epochs = self.graphs.values().flat_map(BTreeMap::keys);
        epochs.filter_map(|epochs| epochs.parse().ok()).max().unwrap_or(0)
    }

    fn holds(&self, graph: &str, epochs: usize) -> bool {
        self.graphs.get(graph).is_some_and(|known| known.contains_key(&epochs.to_string()))
    }
}

/// How graphs are trained and tested.
#[derive(Clone, Copy, Debug)]
pub struct Sgd<'a> {
    /// How networks read images.
    pub input: &'a InputConfig,
    /// Training images.
    pub train: &'a Dataset,
    /// Test images.
    pub test: &'a Dataset,
    /// Test images that count, the first.
    pub images: usize,
    /// Lengths of training, each a run of its own.
    pub epochs: &'a [usize],
    /// Of weights, images and their order.
    pub seed: u64,
    /// Folder for the networks of the longest training.
    pub keep: Option<&'a Path>,
}

impl Sgd<'_> {
    /// Trains every graph that the table lacks, on all cores, and writes the table after each. Returns
    /// the table, and why graphs could not be trained. A file in the folder for networks that is in the
    /// way of one is an error, before anything is trained.
    pub fn run(
        &self,
        graphs: &[HeldOut],
        table: SgdTable,
        out: &Path,
        observer: &dyn Observer,
    ) -> Result<(SgdTable, BTreeMap<String, String>), BenchmarkError> {
        let lengths = self.epochs.iter();
        let jobs: Vec<(&HeldOut, usize)> = lengths
            .flat_map(|&epochs| graphs.iter().map(move |graph| (graph, epochs)))
            .filter(|(graph, epochs)| !table.holds(&graph.name, *epochs))
            .collect();
        self.prepare_folder(&jobs)?;
        observer.begin(jobs.len() as u64, 0);
        let (table, failed) = (Mutex::new(table), Mutex::new(BTreeMap::new()));
        jobs.par_iter().with_max_len(1).try_for_each(|&(graph, epochs)| {
            let trained = self.train(graph, epochs);
            observer.advance(1);
            match trained {
                Ok(scores) => {
                    let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
                    let curve = table.graphs.entry(graph.name.clone()).or_default();
                    curve.insert(epochs.to_string(), scores.into());
                    let written = atomic::write_json(out, &*table);
                    written.map_err(FileError::at(out))
                }
                Err(error) => {
                    let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                    failed.insert(graph.name.clone(), error.to_string());
                    Ok(())
                }
            }
        })?;
        observer.end();
        let table = table.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok((table, failed.into_inner().unwrap_or_else(PoisonError::into_inner)))
    }

    fn is_longest(&self, epochs: usize) -> bool {
        self.epochs.iter().max() == Some(&epochs)
    }

    fn prepare_folder(&self, jobs: &[(&HeldOut, usize)]) -> Result<(), BenchmarkError> {
        let Some(folder) = self.keep else { return Ok(()) };
        fs::create_dir_all(folder).map_err(FileError::at(folder))?;
        let kept = jobs.iter().filter(|(_, epochs)| self.is_longest(*epochs));
        match kept.map(|(graph, _)| file_of(folder, &graph.name)).find(|path| path.exists()) {
            None => Ok(()),
            Some(path) => {
                let problem =
                    "is in the way of a trained network; choose another folder".to_owned();
                Err(BenchmarkError::File { path, problem })
            }
        }
    }

    fn train(&self, graph: &HeldOut, epochs: usize) -> Result<Scores, BenchmarkError> {
        let Self { input, train, test, images, seed, .. } = *self;
        let network = graph.network()?;
        let architecture = &network.architecture;
        let program =
            Program::compile(architecture, &network.registry).map_err(BenchmarkError::network)?;
        let augmentation = match input.channels() {
            1 => Augmentation::Shift,
            _ => Augmentation::Standard,
        };
        let weights =
            train_with_sgd(architecture, &program, train, input, augmentation, epochs, seed)?;
        let scores = judge(architecture, &network.registry, &weights, test, input, images)?;
        if let Some(folder) = self.keep.filter(|_| self.is_longest(epochs)) {
            keep(folder, graph, &network, &weights)?;
        }
        Ok(scores)
    }
}

/// Writes a trained network.
fn keep(
    folder: &Path,
    graph: &HeldOut,
    network: &Network,
    weights: &Weights,
) -> Result<(), BenchmarkError> {
    let path = file_of(folder, &graph.name);
    let changes = fills(network, weights);
    let written = atomic::write(&path, |out| splice::write(&network.model, &changes, out));
    Ok(written.map_err(FileError::at(&path))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_another_setting_is_not_gone_on_with() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sgd.json");
        let resume = |hash: &str, seed, images| SgdTable::resume(&path, hash, seed, images);
        let mut table = resume("a", 0, 20).unwrap();
        assert!(table.is_empty());
        let scores =
            SgdScores { images: 20, top1: 0.5, cross_entropy: 1.0, ece: 0.0, non_finite: 0 };
        table.graphs.entry("graph".into()).or_default().insert("5".into(), scores);
        atomic::write_json(&path, &table).unwrap();
        let known = resume("a", 0, 20).unwrap();
        assert_eq!((known.curve("graph"), known.longest()), (BTreeMap::from([(5, 0.5)]), 5));
        for (other, what) in [
            (resume("b", 0, 20), "other training images"),
            (resume("a", 1, 20), "seed 0"),
            (resume("a", 0, 10), "20 test images"),
        ] {
            let problem = other.unwrap_err().to_string();
            assert!(problem.contains("sgd.json") && problem.contains(what), "{problem}");
        }
    }

    #[test]
    fn what_is_no_table_is_named() {
        let parse = |text: &str| SgdTable::parse(serde_json::from_str(text).unwrap()).unwrap_err();
        assert!(parse("{\"schema\": 2, \"splits\": []}").contains("is no table"));
        assert!(parse("[]").contains("is no table"));
        assert!(parse("{\"schema\": 3, \"data_hash\": \"\", \"graphs\": {}}").contains("schema 3"));
        assert!(parse("{\"schema\": 1, \"data_hash\": \"\", \"graphs\": 3}").contains("damaged"));
    }
}
