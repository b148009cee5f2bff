//! Diffusion over patches. A [`Condition`] says what a denoiser is told besides the graph: the noise
//! level, the quality that is asked for, the latent that tells samples apart and the noisy patches
//! themselves. The [`Conditioner`] turns it into terms of node tokens and of patch tokens. At full
//! noise and without a latent nothing is added at first, and the estimate is that of the one-pass
//! predictor.

mod condition;
mod conditioner;
mod process;

pub use condition::{Condition, Noisy};
pub use conditioner::{Conditioner, Reading, Told};
pub use process::{DiffusionConfig, Process};
