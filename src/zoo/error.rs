//! What can be wrong with a zoo.

use std::path::PathBuf;

use crate::{
    FileError, corpus::CorpusError, data::DataError, graph::ReadError, onnx::OnnxError,
    ops::ResolveError, predictor::PredictorError, spaces::SpaceError,
};

/// Why a zoo cannot be read or grown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ZooError {
    /// The configuration.
    #[error("{}: {problem}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong, naming the field.
        problem: String,
    },
    /// A file that does not hold what it should.
    #[error("{}: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A folder that cannot be grown in as asked.
    #[error("{}: {problem}", path.display())]
    State {
        /// The folder.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A file that could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Data set, space, predictors or graph that do not fit each other.
    #[error("{0}")]
    Mismatch(String),
    /// The data set.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The search space.
    #[error(transparent)]
    Space(#[from] SpaceError),
    /// The corpus of held-out graphs.
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    /// A graph's file.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// A graph.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A graph's operators.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// A predictor.
    #[error(transparent)]
    Predictor(#[from] PredictorError),
}
