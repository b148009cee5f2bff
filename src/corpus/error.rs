//! What can be wrong with a corpus.

use crate::{graph::ReadError, onnx::OnnxError, ops::ResolveError, spaces::SpaceError};

/// Why a split cannot be read or generated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CorpusError {
    /// No split of that name.
    #[error("corpus split '{split}' is none of {known}")]
    Unknown {
        /// What was asked for.
        split: String,
        /// The names there are.
        known: String,
    },
    /// The description of a split is not one.
    #[error("architectures/corpus/{split}.toml: {problem}")]
    Recipe {
        /// The split.
        split: String,
        /// The parser's complaint, in one line.
        problem: String,
    },
    /// The stored graphs are damaged.
    #[error("architectures/corpus/{split}.archs.xz: {problem}")]
    Stored {
        /// The split.
        split: String,
        /// What is wrong.
        problem: String,
    },
    /// A stored seed gives another graph than it used to.
    #[error(
        "corpus split '{split}': seed of '{graph}' gives another graph than the stored fingerprint \
         says; run `weightsmith corpus generate`"
    )]
    Drifted {
        /// The split.
        split: &'static str,
        /// The graph.
        graph: String,
    },
    /// The space has no more graphs that are new.
    #[error("corpus split '{split}': only {found} of {wanted} graphs are new")]
    Exhausted {
        /// The split.
        split: &'static str,
        /// Graphs found.
        found: usize,
        /// Graphs asked for.
        wanted: usize,
    },
    /// The space that a split draws from.
    #[error(transparent)]
    Space(#[from] SpaceError),
    /// A graph that is no ONNX file.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// A graph that cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A graph that makes no sense.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
}
