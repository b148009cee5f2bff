use std::path::PathBuf;

use crate::FileError;

use super::Split;

/// Why a dataset could not be opened or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The path, or a file below it, could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// Nothing under the path looks like a dataset.
    #[error(
        "{path}: no dataset found; expected CIFAR-10 binary files (data_batch_1.bin), IDX files \
         (train-images-idx3-ubyte), or images as train/<class>/*.png|jpg, in a folder or in a \
         .tar, .tar.gz or .tar.xz"
    )]
    Unrecognised {
        /// The path as given.
        path: PathBuf,
    },
    /// A file of the dataset is damaged, or not of a form that is supported.
    #[error("{path}: {entry}: {problem}")]
    Entry {
        /// The path as given.
        path: PathBuf,
        /// The file within it.
        entry: String,
        /// What is wrong.
        problem: String,
    },
    /// The dataset has no images for a split.
    #[error("{path}: the dataset has no {split} images")]
    NoSplit {
        /// The path as given.
        path: PathBuf,
        /// The split asked for.
        split: Split,
    },
    /// Images that a batch was asked for cannot be made from those of the dataset.
    #[error("the dataset's images do not fit: {0}")]
    Mismatch(String),
}

impl DataError {
    /// There is no conversion between these numbers of channels.
    pub(crate) fn channels(from: usize, to: usize) -> Self {
        Self::Mismatch(format!(
            "they have {from} channel(s), {to} are wanted; only grey images (1) and coloured ones (3) are \
             converted into each other"
        ))
    }
}
