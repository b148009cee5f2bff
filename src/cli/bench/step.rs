//! `weightsmith bench step`

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use clap::Args;
use serde::Serialize;

use crate::{memory, onnx::Model, ops::Registry, predictor::NetworkConfig, train::StepFixture};

use super::super::{Common, Exit, Failure, print, print_json};

#[derive(Debug, Args)]
pub(super) struct Step {
    /// Networks over RGB images with ten classes
    #[arg(value_name = "MODEL.onnx", required = true)]
    models: Vec<PathBuf>,
    /// Height and width of the images
    #[arg(long, default_value_t = 32)]
    size: usize,
    /// Images per network
    #[arg(long, default_value_t = 64)]
    batch: usize,
    /// Steps that are timed, after one that is not
    #[arg(long, default_value_t = 5)]
    repeat: usize,
    /// Run networks on burn's operations, to measure what the kernels gain
    #[arg(long)]
    without_kernels: bool,
}

/// One network's figures.
#[derive(Debug, Serialize)]
struct Timing {
    model: PathBuf,
    size: usize,
    batch: usize,
    /// Wall time of every step divided by its architecture-steps.
    seconds: Vec<f64>,
    /// The middle one.
    median: f64,
}

impl Step {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let timings: Vec<Timing> =
            self.models.iter().map(|path| self.time(path)).collect::<Result<_, Failure>>()?;
        if common.json {
            print_json(&serde_json::json!({
                "schema": 1,
                "seed": common.seed,
                "threads": rayon::current_num_threads(),
                "timings": timings,
                "peak_memory_bytes": memory::peak(),
            }))?;
        } else {
            for timing in timings {
                let milliseconds = 1e3 * timing.median;
                let model = timing.model.display();
                print(&format!("{milliseconds:8.2} ms an architecture-step  {model}"))?;
            }
        }
        Ok(Exit::Success)
    }

    fn time(&self, path: &Path) -> Result<Timing, Failure> {
        let model = Model::open(path)?;
        // The bundled CIFAR-10 predictor's.
        let config = NetworkConfig { sources: true, ..NetworkConfig::default() };
        let kernels = !self.without_kernels;
        let mut fixture = StepFixture::new(
            &model,
            &Registry::standard(),
            self.size,
            self.batch,
            &config,
            kernels,
        )?;
        fixture.step()?;
        let mut seconds = Vec::with_capacity(self.repeat);
        for _ in 0..self.repeat.max(1) {
            let start = Instant::now();
            fixture.step()?;
            let steps = StepFixture::ARCHITECTURE_STEPS as f64;
            seconds.push(start.elapsed().as_secs_f64() / steps);
        }
        let mut sorted = seconds.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let median = sorted[sorted.len() / 2];
        Ok(Timing {
            model: path.to_path_buf(),
            size: self.size,
            batch: self.batch,
            seconds,
            median,
        })
    }
}
