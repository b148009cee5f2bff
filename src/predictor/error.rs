//! What can go wrong with a predictor.

use std::path::PathBuf;

use crate::{
    FileError,
    data::DataError,
    encoder::OtherFeatures,
    execute::ExecuteError,
    graph::{NotAClassifier, ReadError},
    onnx::OnnxError,
    ops::ResolveError,
};

/// A predictor that cannot be loaded, or an architecture it cannot be applied to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PredictorError {
    /// A file of the checkpoint could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// `config.json` or `model.safetensors` do not hold what they should.
    #[error("{}: {problem}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A tensor of `model.safetensors` that is missing, damaged, or of another network.
    #[error("{}: tensor '{tensor}' {problem}", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// What is wrong.
        problem: String,
    },
    /// A key of a watermark that could be guessed.
    #[error("{}: a key of {bytes} bytes is too short; make one of at least {least} random bytes, such as by 'head -c 32 /dev/urandom'", path.display())]
    ShortKey {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: usize,
        /// The least size.
        least: usize,
    },
    /// A tensor that keeps another predictor from starting where this one ended.
    #[error("cannot start from predictor '{predictor}': its tensor '{tensor}' {problem}")]
    Start {
        /// Name of the predictor to start from.
        predictor: String,
        /// The tensor.
        tensor: String,
        /// Why it does not fit.
        problem: String,
    },
    /// No such predictor.
    #[error("predictor '{name}' is neither a folder nor bundled; bundled are {bundled}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        bundled: String,
    },
    /// The graph does not fit the predictor.
    #[error("{0}")]
    Mismatch(String),
    /// A network that labelled images say nothing about.
    #[error("{0}; labelled images teach classifiers only")]
    NotAClassifier(#[from] NotAClassifier),
    /// Images that do not fit the graph.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Node features that are missing.
    #[error(transparent)]
    Features(#[from] OtherFeatures),
    /// The network's file.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// The network's graph.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The network's operators.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// Running the network, for calibration.
    #[error(transparent)]
    Execute(#[from] ExecuteError),
}
