//! Predictors of weights. In a [`Network`] node tokens and patch addresses go in, an estimate of every
//! patch comes out; with a [`Conditioner`] it is a denoiser, which is given a [`Condition`], too, and a
//! [`Sampling`] says how weights are drawn from it. A [`Predictor`] is a
//! trained network with its configuration, its operator vocabulary and the calibration batch it
//! learned; it loads from a folder with `config.json` and `model.safetensors`, which may build on another
//! predictor's.

mod bundled;
mod calibration;
mod calibration_images;
mod card;
mod checkpoint;
mod compensate;
mod config;
mod describe;
mod diffusion;
mod embedded;
mod error;
mod files;
mod fill;
mod forward;
mod known;
mod network;
mod outlook;
mod paint;
mod placed;
mod publish;
mod sample;
mod seen;
mod start;
mod storage;
mod watermark;

pub use bundled::bundled;
pub use calibration::{
    CalibrationSource, LearnedLabels, calibrate, calibrate_reading, calibration_noise,
};
pub(crate) use calibration_images::interpolation;
pub use calibration_images::{CalibrationImages, FittedImages};
pub use card::Card;
pub use checkpoint::Predictor;
pub use config::{
    Base, FORMAT_VERSION, InputConfig, NetworkConfig, PredictorConfig, Start, TrainingRecord,
};
pub use diffusion::{Condition, Conditioner, DiffusionConfig, Noisy, Process, Reading, Told};
pub use embedded::{BUNDLED, bundled_files};
pub use error::PredictorError;
pub use fill::{Prediction, ValueSource, expected};
pub use forward::Estimate;
pub use known::StandIn;
pub use network::Network;
pub use outlook::{
    Beyond, Descriptor, Expected, HeldOutPlace, Outlook, OutlookTable, Quantities, Quantity,
    TokenSpace,
};
pub use paint::ByFilling;
pub use placed::Job;
pub use sample::{Sampling, Solver};
pub use seen::Seen;
pub use watermark::Watermark;
