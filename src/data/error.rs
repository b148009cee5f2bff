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
        "{path}: no data set found: {seen}. Expected, in a folder or in a .tar, .tar.gz or .tar.xz: \
         images in a folder for each class (<class>/*.png, or train/<class>/*.png and \
         test/<class>/*.png; png, jpg, webp, bmp, gif or tiff), an .npz with x_train and y_train, \
         .parquet files with an image and a label column, CIFAR-10 in binary form \
         (data_batch_1.bin) or IDX files (train-images-idx3-ubyte). Sort images into such folders"
    )]
    Unrecognised {
        /// The path as given.
        path: PathBuf,
        /// What stands there.
        seen: String,
    },
    /// A class has a folder, but no image.
    #[error(
        "{path}: class {class:?} has no image; in its folder: {found}. Convert the files to png or \
         jpg, or take the folder away"
    )]
    EmptyClass {
        /// The path as given.
        path: PathBuf,
        /// The name of the class, which is that of its folder.
        class: String,
        /// What the folder holds.
        found: String,
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
    #[error(
        "{path}: the data set has no {split} images, only {present} images; add them as a folder, \
         file or array named {split:?}", split = split.name()
    )]
    NoSplit {
        /// The path as given.
        path: PathBuf,
        /// The split asked for.
        split: Split,
        /// The splits that have images.
        present: String,
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
