//! Predictors of weights. In a [`Network`] node tokens and patch addresses go in, an estimate of every
//! patch comes out; with a [`Conditioner`] it is a denoiser, which hears a [`Condition`] besides, and a
//! [`Sampling`] says how weights are drawn from it. A [`Predictor`] is a
//! trained network with its configuration, its operator vocabulary and the calibration batch it
//! learned; it loads from a folder with `config.json` and `model.safetensors`.

mod bundled;
mod calibration;
mod checkpoint;
mod compensate;
mod config;
mod diffusion;
mod error;
mod fill;
mod forward;
mod known;
mod network;
mod paint;
mod sample;
mod seen;
mod start;
mod steer;

pub use bundled::{BUNDLED, bundled};
pub use calibration::{CalibrationImages, CalibrationSource, calibrate, calibration_noise};
pub use checkpoint::Predictor;
pub use config::{
    FORMAT_VERSION, InputConfig, NetworkConfig, PredictorConfig, Start, TrainingRecord,
};
pub use diffusion::{Condition, Conditioner, DiffusionConfig, Noisy, Process, Reading, Told};
pub use error::PredictorError;
pub use fill::{Prediction, ValueSource, expected};
pub use forward::{Estimate, Job};
pub use known::StandIn;
pub use network::Network;
pub use paint::ByFilling;
pub use sample::{Sampling, Solver};
pub use seen::Seen;
pub use steer::{Steering, Support};
