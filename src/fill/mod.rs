//! The main job: a graph is read, its weights are predicted, moved towards labelled images where there are
//! any, calibrated and written, with a report that says of every tensor where it came from.

mod filled;
mod network;
mod report;

pub use filled::{
    FilledNetwork, Unlabelled, agreeing, file_name, fills, mean_weights, recalibrated, support_set,
    transpose, unlabelled, validation_set,
};
pub use network::Network;
pub use report::{
    Counts, Drawn, FileHash, Provenance, Report, SCHEMA, Statistics, Steered, TensorReport,
};

/// What the tool calls itself in the files that it writes.
pub const TOOL: &str = concat!("weightsmith ", env!("CARGO_PKG_VERSION"));

/// Any error.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
