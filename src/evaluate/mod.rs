//! Judging weights: accuracy, cross-entropy and calibration of a filled network on a data set,
//! clean or corrupted; the baselines that predicted weights are compared with; and the statistics
//! that say whether a difference over graphs is one.

mod baseline;
mod by_class;
mod corruption;
mod diversity;
mod failure;
mod members;
mod metrics;
mod network;
mod novelty;
mod resampling;
mod summary;
mod worth;

pub use baseline::train_with_sgd;
pub use by_class::ClassAccuracy;
pub use corruption::{Corruption, SEVERITIES};
pub use diversity::Diversity;
pub use failure::Failures;
pub use members::{consensus, mean_of};
pub use metrics::{MetricsError, Reliability, Scores, Tally};
pub use network::{
    EvaluateError, batches, calibration_images, judge, logits, run_reference, tally,
};
pub use novelty::{
    NOISES, NoisyReference, Novelty, blurred, disagreement, error_overlap, relative_distance,
    with_noise,
};
pub use resampling::{Comparison, Interval, wilson};
pub use summary::Summary;
pub use worth::epochs_worth;
