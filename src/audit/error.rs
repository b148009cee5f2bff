//! Why nothing can be said.

use std::path::PathBuf;

use crate::{
    FileError, data::DataError, evaluate::EvaluateError, fill::FillError,
    predictor::PredictorError, zoo::ZooError,
};

/// An audit that is not possible.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// A folder without a network to compare with.
    #[error(
        "{}: none of its {files} networks is a trained one of the same graph; references are networks of \
         the graph that is audited, with weights",
        folder.display()
    )]
    NoReference {
        /// The folder.
        folder: PathBuf,
        /// Networks in it.
        files: usize,
    },
    /// No graph that a predictor can fill for the images.
    #[error("no graph reads images of {channels} channels and tells {classes} classes apart")]
    NoGraph {
        /// Of the images.
        channels: usize,
        /// Of the data set.
        classes: usize,
    },
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// A network.
    #[error(transparent)]
    Network(#[from] FillError),
    /// Weights that do not fit.
    #[error(transparent)]
    Alignment(#[from] ZooError),
    /// Running a network.
    #[error(transparent)]
    Evaluation(#[from] EvaluateError),
    /// Predicting a network.
    #[error(transparent)]
    Prediction(#[from] PredictorError),
    /// The images.
    #[error(transparent)]
    Data(#[from] DataError),
}
