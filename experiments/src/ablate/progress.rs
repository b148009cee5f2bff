//! An ablation under way: outcomes of the graphs that are done lie beside the result until it is written.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use weightsmith::onnx::{atomic, sha256};

use crate::Failure;

use super::draws::Outcome;

/// Outcomes of every row, by graph.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Progress {
    /// Hash of what decides outcomes.
    setting: String,
    graphs: BTreeMap<String, Vec<Outcome>>,
    /// `FILE.part`, where a result is written.
    #[serde(skip)]
    path: Option<PathBuf>,
}

impl Progress {
    /// Begins anew, or goes on with what lies beside `out`, which has to be of the same setting.
    pub(super) fn open(
        out: Option<&Path>,
        resume: bool,
        setting: &impl Serialize,
    ) -> Result<Self, Failure> {
        let setting = sha256(&serde_json::to_vec(setting)?);
        let path = out.map(|out| {
            let mut path = out.as_os_str().to_owned();
            path.push(".part");
            PathBuf::from(path)
        });
        let begin = Self { setting, graphs: BTreeMap::new(), path };
        let Some(path) = &begin.path else { return Ok(begin) };
        let refuse = |problem: &str| Err(Failure::from(format!("{}: {problem}", path.display())));
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(begin),
            Err(error) => return refuse(&error.to_string()),
        };
        if !resume {
            return refuse("is a run that did not end; add --resume, or remove it");
        }
        match serde_json::from_slice::<Self>(&bytes) {
            Err(error) => refuse(&error.to_string()),
            Ok(known) if known.setting != begin.setting => {
                refuse("is a run of other rows, images, predictors or another seed; remove it")
            }
            Ok(known) => Ok(Self { graphs: known.graphs, ..begin }),
        }
    }

    /// What is known of a graph.
    pub(super) fn of(&self, graph: &str) -> Option<&[Outcome]> {
        self.graphs.get(graph).map(Vec::as_slice)
    }

    /// Keeps what every row made of a graph.
    pub(super) fn add(
        &mut self,
        graph: &str,
        outcomes: Vec<Outcome>,
    ) -> Result<&[Outcome], Failure> {
        self.graphs.insert(graph.to_owned(), outcomes);
        if let Some(path) = &self.path {
            atomic::write_json(path, self)
                .map_err(|error| format!("{}: {error}", path.display()))?;
        }
        Ok(&self.graphs[graph])
    }

    /// Forgets it all, once the result is written.
    pub(super) fn end(self) -> Result<(), Failure> {
        match self.path.filter(|path| path.exists()) {
            Some(path) => fs::remove_file(&path)
                .map_err(|error| format!("{}: {error}", path.display()).into()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_goes_on_where_it_was_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("result.json");
        let open = |resume, setting: &str| Progress::open(Some(&out), resume, &setting);
        let outcome = Outcome { top1: vec![0.25, 0.5], overlap: Some(0.125), seconds: 1.0 };
        let mut first = open(false, "rows").unwrap();
        first.add("graph", vec![outcome.clone()]).unwrap();
        assert!(open(false, "rows").unwrap_err().to_string().contains("--resume"));
        assert!(open(true, "other rows").unwrap_err().to_string().contains("other rows"));
        let second = open(true, "rows").unwrap();
        assert_eq!(second.of("graph"), Some(&[outcome][..]));
        assert_eq!(second.of("another"), None);
        second.end().unwrap();
        assert!(open(false, "rows").unwrap().graphs.is_empty());
    }
}
