//! What can go wrong with a benchmark.

use std::{error::Error, path::PathBuf};

use crate::{
    FileError, condition::ConditionError, corpus::CorpusError, data::DataError,
    evaluate::EvaluateError, onnx::OnnxError, predictor::PredictorError, spaces::SpaceError,
    spaces::TableError,
};

/// Why a benchmark has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchmarkError {
    /// A file that cannot be read or written.
    #[error(transparent)]
    Io(#[from] FileError),
    /// A file that is not what it is read as.
    #[error("{path}: {problem}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// Nothing is left to test on.
    #[error("the predictor was trained on all {count} {what}: there is nothing to test on")]
    NothingUnseen {
        /// How many there were.
        count: usize,
        /// Graphs of which set, or images.
        what: String,
    },
    /// What was asked for does not fit together.
    #[error("{0}")]
    Mismatch(String),
    /// A network that cannot be read, filled or written.
    #[error(transparent)]
    Network(Box<dyn Error + Send + Sync>),
    /// A graph that is no ONNX file.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// The predictor.
    #[error(transparent)]
    Predictor(#[from] PredictorError),
    /// A support set.
    #[error(transparent)]
    Condition(#[from] ConditionError),
    /// The images.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The images and a network.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// The search space.
    #[error(transparent)]
    Space(#[from] SpaceError),
    /// The corpus.
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    /// A public table of trained accuracies.
    #[error(transparent)]
    Table(#[from] TableError),
}

impl BenchmarkError {
    /// Wraps what reading or filling a network ends with.
    pub(super) fn network(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Network(error.into())
    }
}
