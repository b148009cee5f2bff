//! How long a step of training a predictor takes.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use serde::Serialize;

use crate::{onnx::Model, ops::Registry, predictor::NetworkConfig, train::StepFixture};

use super::BenchmarkError;

/// Time of an architecture-step: predictor and network, forward, backward and update.
#[derive(Clone, Debug, Serialize)]
pub struct StepTiming {
    /// The network, an ONNX file over RGB images with ten classes.
    pub model: PathBuf,
    /// Height and width of the images.
    pub size: usize,
    /// Images per network.
    pub batch: usize,
    /// Wall time of every step divided by its architecture-steps.
    pub seconds: Vec<f64>,
    /// The middle one.
    pub median: f64,
}

impl StepTiming {
    /// Times `repeat` steps, after one that is not. Without kernels networks run on burn's operations.
    pub fn measure(
        path: &Path,
        size: usize,
        batch: usize,
        repeat: usize,
        kernels: bool,
    ) -> Result<Self, BenchmarkError> {
        let model = Model::open(path)?;
        // The bundled CIFAR-10 predictor's.
        let config = NetworkConfig { sources: true, ..NetworkConfig::default() };
        let mut fixture =
            StepFixture::new(&model, &Registry::standard(), size, batch, &config, kernels)
                .map_err(BenchmarkError::network)?;
        let mut step = || fixture.step().map_err(BenchmarkError::network);
        step()?;
        let mut seconds = Vec::with_capacity(repeat);
        for _ in 0..repeat.max(1) {
            let start = Instant::now();
            step()?;
            let steps = StepFixture::ARCHITECTURE_STEPS as f64;
            seconds.push(start.elapsed().as_secs_f64() / steps);
        }
        let mut sorted = seconds.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let median = sorted[sorted.len() / 2];
        Ok(Self { model: path.to_path_buf(), size, batch, seconds, median })
    }
}
