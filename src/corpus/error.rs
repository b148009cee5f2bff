//! What can be wrong with a corpus.

use std::path::PathBuf;

use crate::{FileError, graph::ReadError, onnx::OnnxError, ops::ResolveError, spaces::SpaceError};

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
    /// A split that is not made of files.
    #[error(
        "corpus split '{split}' is not made of exported files; draw it with `weightsmith corpus generate`"
    )]
    NotExported {
        /// The split.
        split: &'static str,
    },
    /// Two files with one graph.
    #[error("{} and {} hold the same graph; export one of them", first.display(), second.display())]
    Isomorphic {
        /// A file.
        first: PathBuf,
        /// Another one.
        second: PathBuf,
    },
    /// A folder with another number of files than the recipe says.
    #[error(
        "{} holds {found} .onnx files, architectures/corpus/{split}.toml says {wanted}; correct the one or \
         the other", folder.display()
    )]
    Count {
        /// The folder.
        folder: PathBuf,
        /// Files there.
        found: usize,
        /// The split.
        split: &'static str,
        /// Files wanted.
        wanted: usize,
    },
    /// A file that cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
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
