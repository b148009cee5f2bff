//! What can be wrong with a node.

use crate::graph::AttributeError;

/// Why an operator could not be understood or run. The caller adds file and node name.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OpError {
    /// A malformed attribute.
    #[error(transparent)]
    Attribute(#[from] AttributeError),
    /// An input that is missing, or of a rank, shape or type the operator does not take.
    #[error("input {input}: {problem}")]
    Input {
        /// Input slot.
        input: usize,
        /// What is wrong.
        problem: String,
    },
    /// A form of the operator that the standard allows and this tool does not support.
    #[error("not supported: {0}")]
    Unsupported(String),
}
