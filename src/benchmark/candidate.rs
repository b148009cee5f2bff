//! Networks as they would be exported, read back from the bytes.

use std::path::{Path, PathBuf};

use crate::{fill::Network, graph::Weights, onnx::Model};

use super::{BenchmarkError, HeldOut, held_out::resolved};

/// A network with weights, as it would be exported.
#[derive(Debug)]
pub struct Candidate {
    /// The file.
    pub network: Network,
    /// The weights that it holds.
    pub weights: Weights,
}

/// What came of filling one graph.
#[derive(Debug)]
pub struct Attempt {
    /// The network, or why there is none to evaluate.
    pub candidate: Result<Candidate, String>,
    /// Seconds that writing the weights took, where they were written here.
    pub seconds: Option<f64>,
}

impl Attempt {
    /// Reads the network of a graph from another program's file.
    pub(super) fn read(path: &Path, graph: &HeldOut) -> Self {
        let candidate = Candidate::read(path, graph).map_err(|error| error.to_string());
        Self { candidate, seconds: None }
    }
}

impl Candidate {
    /// Reads the network of a graph from another program's file; it may rename and fold, but not
    /// enlarge it.
    pub fn read(path: &Path, graph: &HeldOut) -> Result<Self, BenchmarkError> {
        let network = resolved(Model::open(path)?)?;
        if let Some(why) = network.unsupported().first() {
            return Err(BenchmarkError::Mismatch(why.clone()));
        }
        let parameters = network.architecture.parameter_count() as u64;
        if parameters > graph.parameters {
            let problem =
                format!("has {parameters} parameters, {} has {}", graph.name, graph.parameters);
            return Err(BenchmarkError::File { path: path.to_owned(), problem });
        }
        Self::new(network)
    }

    /// Takes the weights that the file holds.
    pub(super) fn new(network: Network) -> Result<Self, BenchmarkError> {
        let weights = network.stored_weights().map_err(BenchmarkError::network)?;
        Ok(Self { network, weights })
    }
}

/// Where a folder of networks has that of a graph.
pub(super) fn file_of(folder: &Path, graph: &str) -> PathBuf {
    folder.join(format!("{graph}.onnx"))
}
