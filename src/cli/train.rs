//! `weightsmith train`

use std::path::PathBuf;

use burn::tensor::Device;
use clap::Args;
use serde_json::json;

use crate::{
    device::{self, DeviceChoice},
    ops::Registry,
    train::{RunOptions, TrainConfig, train},
};

use super::{
    Common, Exit, Failure, device::device_parser, interrupt, print, print_json, progress::watch,
};

/// Train a predictor as a configuration says. Ctrl-C saves and stops.
#[derive(Debug, Args)]
pub struct Train {
    /// The configuration (see predictors/*/train.toml)
    config: PathBuf,
    /// Go on from the state saved in the configuration's 'out' folder
    #[arg(long)]
    resume: bool,
    /// Where the predictor computes
    #[arg(long, default_value = "auto", value_parser = device_parser())]
    device: DeviceChoice,
    /// Compute on a `weightsmith worker` instead; give several to share each step out among them
    #[cfg(feature = "remote")]
    #[arg(long = "worker", value_name = "ws://HOST:PORT", conflicts_with = "device")]
    workers: Vec<String>,
}

impl Train {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let mut config = TrainConfig::load(&self.config)?;
        config.seed = common.given_seed.unwrap_or(config.seed);
        let (devices, device_name) = self.devices()?;
        tracing::info!("seed {}, device {device_name}", config.seed);
        let options = RunOptions {
            registry: Registry::standard(),
            devices,
            resume: self.resume,
            command: format!("weightsmith train {}", self.config.display()),
            stop: interrupt()?,
            node_encoder: None,
            observer: watch("steps", common),
        };
        let outcome = train(&config, &options)?;
        let progress = &outcome.progress;
        if common.json {
            print_json(&json!({
                "schema": 1,
                "seed": config.seed,
                "device": device_name,
                "finished": outcome.finished,
                "predictor": outcome.predictor,
                "progress": progress,
            }))?;
        } else {
            print(&format!(
                "{} {} steps, {} networks ({} skipped) in {:.0} s; held-out top-1 {:.1} %; predictor in {}",
                if outcome.finished { "finished" } else { "stopped at" },
                progress.step,
                progress.architecture_steps,
                progress.skipped,
                progress.seconds,
                100.0 * progress.validation_top1.unwrap_or(f64::NAN),
                outcome.predictor.display()
            ))?;
        }
        Ok(if outcome.finished { Exit::Success } else { Exit::Negative })
    }

    #[cfg(feature = "remote")]
    fn devices(&self) -> Result<(Vec<Device>, String), Failure> {
        match self.workers.as_slice() {
            [] => {
                let (device, name) = device::choose(self.device)?;
                Ok((vec![device], name))
            }
            urls => Ok((device::workers(urls)?, urls.join(", "))),
        }
    }

    #[cfg(not(feature = "remote"))]
    fn devices(&self) -> Result<(Vec<Device>, String), Failure> {
        let (device, name) = device::choose(self.device)?;
        Ok((vec![device], name))
    }
}
