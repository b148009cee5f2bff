//! What keeps a graph from having a score.

use crate::{execute::ExecuteError, predictor::PredictorError};

/// Why a graph has no such score.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScoreError {
    /// The graph is not a classifier of images.
    #[error(
        "the graph does not take one batch of images [N, C, H, W] and return logits [N, classes]"
    )]
    NotImages,
    /// Images and graph do not fit.
    #[error("{0}")]
    Unfit(String),
    /// The score asks the graph for something it does not have.
    #[error("the graph has no {0}")]
    Lacks(&'static str),
    /// The score judges weights that a predictor writes, and none was given.
    #[error("no predictor was given")]
    NeedsPredictor,
    /// The score needs labelled images, and none were given.
    #[error("no labelled images were given")]
    NeedsData,
    /// The computation overflowed.
    #[error("the score is not a finite number")]
    NotFinite,
    /// Running the graph.
    #[error(transparent)]
    Execute(#[from] ExecuteError),
    /// Predicting its weights.
    #[error(transparent)]
    Predictor(#[from] PredictorError),
}
