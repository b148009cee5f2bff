//! Judging weights: accuracy, cross-entropy, calibration.

mod metrics;

pub use metrics::{MetricsError, Scores, Tally};
