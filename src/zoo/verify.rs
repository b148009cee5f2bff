//! Whether a zoo is what its records say.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use rayon::prelude::*;

use super::{
    Record, Zoo, ZooError,
    store::{record_file, tensor_file},
};

impl Zoo {
    /// Everything that is wrong, a sentence each, in the order of the files: tensor files that are
    /// missing, damaged, of other shapes than their graph or of no record, graphs that their space no
    /// longer gives, and files that do not belong here. Reads all tensor files and draws all graphs
    /// again. Damaged records are found by [`Zoo::open`].
    pub fn verify(&self) -> Result<Vec<String>, ZooError> {
        let [records, tensors] = self.files()?;
        let graphs: Vec<u64> = self.graphs().collect();
        let mut problems: Vec<String> =
            graphs.par_iter().flat_map_iter(|&graph| self.problems_of(graph)).collect();
        let named: BTreeSet<String> =
            self.records().iter().map(|record| tensor_file(&record.tensors)).collect();
        let name =
            |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for path in records {
            if record_file(&name(&path)).is_none() {
                problems.push(format!("{}: is no file of records", path.display()));
            }
        }
        for path in tensors {
            if !named.contains(&name(&path)) {
                problems.push(format!("{}: no record names it", path.display()));
            }
        }
        Ok(problems)
    }

    fn problems_of(&self, fingerprint: u64) -> Vec<String> {
        let records = self.of_graph(fingerprint);
        let mut problems = Vec::new();
        let mut architectures = BTreeMap::new();
        for record in records {
            let drawn = architectures.entry(format!("{:?}", record.origin)).or_insert_with(|| {
                // A graph that somebody brought cannot be drawn again.
                match &record.origin {
                    super::Origin::Space { .. } => Some(self.graph(record)),
                    super::Origin::File(_) => None,
                }
            });
            let problem = match drawn {
                Some(Err(error)) => Some(error.to_string()),
                Some(Ok((_, architecture))) => {
                    let weights = self.weights(record, architecture);
                    self.count(record, weights.map(|of| of.iter().map(Vec::len).sum::<usize>()))
                }
                None => {
                    let tensors = self.tensors(record);
                    self.count(record, tensors.map(|tensors| tensors.values() as usize))
                }
            };
            problems.extend(problem);
        }
        problems
    }

    /// What is wrong with the number of values that a record's file holds.
    fn count(&self, record: &Record, found: Result<usize, ZooError>) -> Option<String> {
        let wanted = record.parameters;
        match found {
            Err(error) => Some(error.to_string()),
            Ok(found) if found as u64 == wanted => None,
            Ok(found) => {
                let path = self.path(record);
                Some(format!("{}: holds {found} values, not {wanted}", path.display()))
            }
        }
    }
}
