//! Why labels cannot be made.

use std::path::PathBuf;

use crate::{FileError, data::DataError, spaces::SpaceError};

/// Why graphs cannot be labelled, or labels not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabelError {
    /// A file that the system refuses.
    #[error(transparent)]
    File(#[from] FileError),
    /// The spaces.
    #[error(transparent)]
    Space(#[from] SpaceError),
    /// The images.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Labels of another setting, or none.
    #[error("{path}: {problem}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// A generated graph that cannot be read.
    #[error("{graph}: {problem}")]
    Network {
        /// Its name.
        graph: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Fewer images than asked for.
    #[error("{asked} images are asked for, the data set has {there}; lower --images")]
    Images {
        /// For training and validation.
        asked: usize,
        /// Training images that there are.
        there: usize,
    },
}

impl LabelError {
    /// What an error with a graph becomes.
    pub(super) fn network<E: std::fmt::Display>(graph: &str) -> impl FnOnce(E) -> Self {
        move |problem| Self::Network { graph: graph.to_owned(), problem: problem.to_string() }
    }
}
