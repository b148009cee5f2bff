//! What can be wrong with a file.

use crate::FileError;

/// A file that cannot be read as ONNX, or not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// The system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// The bytes are not an ONNX model.
    #[error("{file}: not an ONNX model: {problem}")]
    NotOnnx {
        /// The file.
        file: String,
        /// What is wrong.
        problem: String,
    },
    /// A tensor whose data, shape and type do not agree.
    #[error("{file}: tensor '{tensor}': {problem}")]
    Tensor {
        /// The file.
        file: String,
        /// Name of the tensor.
        tensor: String,
        /// What is wrong.
        problem: String,
    },
    /// A model of which no ensemble can be made.
    #[error("{file}: as an ensemble: {problem}")]
    Ensemble {
        /// The file.
        file: String,
        /// What stands in the way.
        problem: String,
    },
}
