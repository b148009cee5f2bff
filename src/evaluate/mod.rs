//! Judging weights: accuracy, cross-entropy and calibration of a filled network on a data set, and
//! the baselines that predicted weights are compared with.

mod baseline;
mod metrics;
mod network;
mod summary;

pub use baseline::{he_initialisation, train_with_sgd};
pub use metrics::{MetricsError, Scores, Tally};
pub use network::{EvaluateError, judge, run_reference};
pub use summary::Summary;
