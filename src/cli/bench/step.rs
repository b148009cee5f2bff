//! `weightsmith bench step`

use std::path::PathBuf;

use clap::Args;

use crate::{benchmark::StepTiming, memory};

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

impl Step {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let Self { size, batch, repeat, .. } = *self;
        let kernels = !self.without_kernels;
        let time = |path| StepTiming::measure(path, size, batch, repeat, kernels);
        let timings: Vec<StepTiming> =
            self.models.iter().map(|path| time(path)).collect::<Result<_, _>>()?;
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
}
