//! Training a predictor through the task loss of the networks it predicts: graphs drawn from a
//! search space or read from a folder, weights predicted, loss of the predicted network on real images, gradient back
//! into the predictor. The images are those of one data set, whose classes the predicted heads tell apart, or of
//! episodes: some classes of one of many data sets, with heads solved on the spot. Runs are resumable and the same seed gives the same bytes.

mod checkpoints;
mod config;
mod episodes;
mod error;
mod folder;
mod graphs;
mod metrics;
mod mixture;
mod optimiser;
mod run;
mod source;
mod state;
mod step;
mod task_change;
mod timing;
mod validation;

pub use config::{
    AugmentationConfig, Beside, Cost, DenoisingConfig, EpisodeData, EpisodesConfig,
    OptimiserConfig, Stage, Statistics, TrainConfig,
};
pub use error::TrainError;
pub use folder::GraphFolder;
pub use graphs::{GraphPool, GraphReader, PreparedGraph, Trunk};
pub use optimiser::{AdamW, schedule};
pub use run::{Outcome, RunOptions, train};
pub use source::GraphSource;
pub use timing::StepFixture;
