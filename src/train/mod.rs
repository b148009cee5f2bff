//! Training a predictor through the task loss of the networks it predicts: graphs drawn from a
//! search space or read from a folder, weights predicted, loss of the predicted network on real images, gradient back
//! into the predictor. Runs are resumable and the same seed gives the same bytes.

mod checkpoints;
mod config;
mod error;
mod folder;
mod graphs;
mod metrics;
mod optimiser;
mod run;
mod source;
mod state;
mod step;
mod timing;
mod validation;

pub use config::{
    AugmentationConfig, DenoisingConfig, OptimiserConfig, Stage, Statistics, TrainConfig,
};
pub use error::TrainError;
pub use folder::GraphFolder;
pub use graphs::{GraphPool, GraphReader, PreparedGraph};
pub use optimiser::{AdamW, schedule};
pub use run::{Outcome, RunOptions, train};
pub use source::GraphSource;
pub use timing::StepFixture;
