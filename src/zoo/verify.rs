//! Whether a zoo is what its records say.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use rayon::prelude::*;

use crate::{graph::Weights, ops::Registry};

use super::{
    Origin, Zoo, ZooError,
    store::{record_file, tensor_file},
};

impl Zoo {
    /// Everything that is wrong, a sentence each, in the order of the files: tensor files that are
    /// missing, damaged, of other shapes than their graph or of no record, graphs that their space no
    /// longer gives, and files that do not belong here. Reads all tensor files and draws all graphs
    /// again. Damaged records are found by [`Zoo::open`].
    pub fn verify(&self, registry: &Registry) -> Result<Vec<String>, ZooError> {
        let [records, tensors] = self.files()?;
        let graphs: Vec<u64> = self.graphs().collect();
        let mut problems: Vec<String> =
            graphs.par_iter().flat_map_iter(|&graph| self.problems_of(graph, registry)).collect();
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

    /// What is wrong with the checkpoints of one graph.
    fn problems_of(&self, fingerprint: u64, registry: &Registry) -> Vec<String> {
        let mut graphs = BTreeMap::new();
        let problems = self.of_graph(fingerprint).iter().filter_map(|record| {
            let values = match &record.origin {
                Origin::Space { .. } => {
                    let drawn = graphs
                        .entry(&record.origin)
                        .or_insert_with(|| self.graph(record, registry));
                    match drawn {
                        Ok((_, graph)) => self.weights(record, graph).map(|of| count(&of)),
                        Err(error) => return Some(error.to_string()),
                    }
                }
                // Such a graph cannot be drawn again.
                Origin::File(_) => self.tensors(record).map(|tensors| tensors.values()),
            };
            match values {
                Err(error) => Some(error.to_string()),
                Ok(values) if values == record.parameters => None,
                Ok(values) => {
                    let (path, wanted) = (self.path(record), record.parameters);
                    Some(format!("{}: holds {values} values, not {wanted}", path.display()))
                }
            }
        });
        problems.collect()
    }
}

fn count(weights: &Weights) -> u64 {
    weights.tensors().map(|(_, values)| values.len()).sum::<usize>() as u64
}
