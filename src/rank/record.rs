//! What is known of one graph, and the file that keeps it.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::FileError;

use super::{
    OperatorPaths,
    journal::{Journal, lines},
};

/// The scores of one graph, independent of any other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Equal for equal graphs; see [`super::Fingerprints`].
    pub exact: String,
    /// Equal for isomorphic graphs.
    pub structure: String,
    /// Scores by name.
    pub scores: BTreeMap<String, f64>,
    /// Why other scores are missing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub missing: BTreeMap<String, String>,
    /// Live learned parameters.
    pub parameters: u64,
    /// Multiply-accumulates of the live part.
    pub flops: u64,
    /// Nodes that do not matter.
    pub dead_nodes: usize,
    /// Seconds it took when it was computed.
    pub seconds: f64,
    /// What it is made of, where that was asked for; counted anew in every run.
    #[serde(skip)]
    pub operator_paths: OperatorPaths,
}

impl Record {
    /// Why no score of the graph says anything.
    pub fn unranked(&self) -> Option<&'static str> {
        (self.parameters == 0).then_some(
            "no weight on a path from its input changes what it returns, so training cannot either",
        )
    }
}

/// Records in a file that outlives interruptions.
#[derive(Debug)]
pub struct Cache {
    known: HashMap<String, Record>,
    journal: Journal,
}

impl Cache {
    /// Opens or creates a file.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let (journal, records) = Journal::open::<Record>(path)?;
        let known = records.into_iter().map(|record| (record.exact.clone(), record)).collect();
        Ok(Self { known, journal })
    }

    /// Takes over what another file knows.
    pub(super) fn read(&mut self, path: &Path) -> Result<(), FileError> {
        let text = fs::read(path).map_err(FileError::at(path))?;
        let records = lines::<Record>(&text).into_iter();
        self.known.extend(records.map(|record| (record.exact.clone(), record)));
        Ok(())
    }

    /// What an earlier run found out about a graph.
    pub fn get(&self, exact: &str) -> Option<&Record> {
        self.known.get(exact)
    }

    /// Keeps a record.
    pub fn put(&self, record: &Record) -> Result<(), FileError> {
        self.journal.put(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(exact: &str) -> Record {
        Record {
            exact: exact.to_owned(),
            structure: "s".to_owned(),
            scores: BTreeMap::from([("flops".to_owned(), 1.0e9 / 3.0)]),
            missing: BTreeMap::new(),
            parameters: 3,
            flops: 4,
            dead_nodes: 0,
            seconds: 0.1,
            operator_paths: OperatorPaths::default(),
        }
    }

    #[test]
    fn records_survive_a_killed_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/cache.jsonl");
        let cache = Cache::open(&path).unwrap();
        cache.put(&record("a")).unwrap();
        cache.put(&record("b")).unwrap();
        let text = fs::read(&path).unwrap();
        fs::write(&path, &text[..text.len() - 9]).unwrap();
        let cache = Cache::open(&path).unwrap();
        assert_eq!((cache.get("a"), cache.get("b")), (Some(&record("a")), None));
        cache.put(&record("c")).unwrap();
        assert_eq!(Cache::open(&path).unwrap().get("c"), Some(&record("c")));
    }
}
