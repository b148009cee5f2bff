//! Why the descent of a network cannot be told.

use crate::{fill::FillError, predictor::PredictorError, zoo::ZooError};

/// Why the descent of a network cannot be told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// The network, or its weights.
    #[error(transparent)]
    Fill(#[from] FillError),
    /// A predictor, or a graph that does not fit it.
    #[error(transparent)]
    Predictor(#[from] PredictorError),
    /// Weights that cannot be aligned.
    #[error(transparent)]
    Align(#[from] ZooError),
}
