//! What can go wrong in training.

use std::path::{Path, PathBuf};

use crate::{
    FileError, corpus::CorpusError, data::DataError, encoder::OtherFeatures, execute::ExecuteError,
    graph::ReadError, onnx::OnnxError, ops::ResolveError, predictor::PredictorError,
    spaces::SpaceError, zoo::ZooError,
};

/// Why a training run could not start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The configuration.
    #[error("{}: {problem}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong, naming the field.
        problem: String,
    },
    /// A saved state that cannot be resumed from.
    #[error("{}: {problem}", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A file that could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The data set does not fit the search space.
    #[error("{0}")]
    Mismatch(String),
    /// Node features that are missing.
    #[error(transparent)]
    Features(#[from] OtherFeatures),
    /// The data set.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The search space.
    #[error(transparent)]
    Space(#[from] SpaceError),
    /// The corpus of held-out graphs.
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    /// A sampled graph's file.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// A sampled graph.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A sampled graph's operators.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// Running a predicted network.
    #[error(transparent)]
    Execute(#[from] ExecuteError),
    /// The zoo.
    #[error(transparent)]
    Zoo(#[from] ZooError),
    /// The predictor.
    #[error(transparent)]
    Predictor(#[from] PredictorError),
}

impl TrainError {
    /// What is wrong with a file or folder for a run.
    pub(super) fn mismatch(path: &Path, problem: &str) -> Self {
        Self::Mismatch(format!("{}: {problem}", path.display()))
    }
}
