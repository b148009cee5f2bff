//! The trait of a score, and the list of scores.

use crate::{execute::ExecuteError, predictor::PredictorError};

use super::Subject;

/// Why a graph has no such score.
#[derive(Debug, thiserror::Error)]
pub enum ScoreError {
    /// The graph is not a classifier of images.
    #[error("the graph does not map one batch of images to logits")]
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

/// A judgement of one graph without training it. Larger is better.
pub trait Score: Send + Sync {
    /// What `--by` calls it.
    fn name(&self) -> &'static str;

    /// What it is, and who described it.
    fn about(&self) -> &'static str;

    /// Whether it judges labelled images; it is left out where there are none.
    fn needs_data(&self) -> bool {
        false
    }

    /// Whether it judges predicted weights; it is left out where there is no predictor.
    fn needs_predictor(&self) -> bool {
        false
    }

    /// The score of a graph: the same for the same graph and [`super::Probe`], whatever else is
    /// ranked.
    fn of(&self, subject: &Subject) -> Result<f64, ScoreError>;
}

/// Every score this crate knows.
pub fn scores() -> Vec<Box<dyn Score>> {
    use super::scores::{az, codes, jacobian, predicted, saliency, statics, synflow, zen, zico};
    let families: [Vec<Box<dyn Score>>; 9] = [
        statics::scores(),
        saliency::scores(),
        synflow::scores(),
        codes::scores(),
        jacobian::scores(),
        zen::scores(),
        zico::scores(),
        az::scores(),
        predicted::scores(),
    ];
    families.into_iter().flatten().collect()
}
