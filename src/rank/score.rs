//! The trait of a score.

use super::{ScoreError, Subject};

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
