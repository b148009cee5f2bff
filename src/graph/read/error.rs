//! What can be wrong with a graph.

use crate::onnx::OnnxError;

/// A file that is ONNX but not a graph this tool can make sense of.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file itself.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// The default operator set is not imported.
    #[error("{file}: opset_import does not name the default domain; the operators have no version")]
    NoOpset {
        /// The file.
        file: String,
    },
    /// A value with two definitions.
    #[error(
        "{file}: value '{value}' is defined twice, and ONNX allows one definition; where a parameter or \
         buffer of a PyTorch module has the name of an operator, rename it and export again"
    )]
    Duplicate {
        /// The file.
        file: String,
        /// The value.
        value: String,
    },
    /// A node that, through others, reads its own result.
    #[error("{file}: {node} is on a cycle")]
    Cycle {
        /// The file.
        file: String,
        /// The node.
        node: String,
    },
    /// A node without an operator type or without outputs.
    #[error("{file}: node #{position}: field '{field}' is missing")]
    Node {
        /// The file.
        file: String,
        /// Position in the file.
        position: usize,
        /// The field.
        field: &'static str,
    },
    /// A graph output that nothing computes.
    #[error("{file}: graph output '{value}' is not computed by any node")]
    Output {
        /// The file.
        file: String,
        /// The value.
        value: String,
    },
    /// A function of the model that cannot be put in place of its calls.
    #[error("{file}: function '{function}': {problem}")]
    Function {
        /// The file.
        file: String,
        /// The function.
        function: String,
        /// What is wrong.
        problem: String,
    },
    /// A shape that no machine could hold.
    #[error("{file}: value '{value}': {problem}")]
    Shape {
        /// The file.
        file: String,
        /// The value.
        value: String,
        /// What is wrong.
        problem: String,
    },
    /// A `--dim` that matches nothing.
    #[error("{file}: no dimension is named '{name}'; the file has {known}")]
    UnusedDim {
        /// The file.
        file: String,
        /// The name given.
        name: String,
        /// Names there are.
        known: String,
    },
}
