//! `weightsmith zoo grow`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::{
    ops::Registry,
    zoo::{GrowConfig, GrowOptions, grow},
};

use super::super::{Common, Exit, Failure, interrupt, print, print_json, progress::watch};

/// Train graphs from predicted weights and keep snapshots. Ctrl-C stops; what is done stays.
#[derive(Debug, Args)]
pub(super) struct Grow {
    /// The configuration (see benches/configs/zoo.toml)
    config: PathBuf,
    /// Go on with the zoo in the configuration's 'out' folder, if there is one
    #[arg(long)]
    resume: bool,
    /// Graphs that are trained side by side; one per core without
    #[arg(long)]
    jobs: Option<usize>,
}

impl Grow {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let mut config = GrowConfig::load(&self.config)?;
        config.seed = common.given_seed.unwrap_or(config.seed);
        let options = GrowOptions {
            registry: Registry::standard(),
            resume: self.resume,
            jobs: self.jobs.unwrap_or_else(rayon::current_num_threads),
            stop: interrupt()?,
            observer: watch("graphs", common),
        };
        let grown = grow(&config, &options)?;
        if common.json {
            print_json(&json!({
                "schema": 1,
                "seed": config.seed,
                "finished": grown.finished,
                "zoo": grown.folder,
                "graphs": grown.graphs,
                "checkpoints": grown.checkpoints,
                "diverged": grown.diverged,
            }))?;
        } else {
            print(&format!(
                "{} {} checkpoints of {} graphs ({} snapshots diverged) in {}",
                if grown.finished { "finished:" } else { "stopped at" },
                grown.checkpoints,
                grown.graphs,
                grown.diverged,
                grown.folder.display()
            ))?;
        }
        Ok(if grown.finished { Exit::Success } else { Exit::Negative })
    }
}
