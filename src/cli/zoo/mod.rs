//! `weightsmith zoo`

mod export;
mod grow;
mod import;
mod list;
mod show;
mod verify;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::zoo::{Lineage, Zoo};

use super::{Common, Exit, Failure};

/// Grow checkpoints of many graphs from predictors, and look at them.
#[derive(Debug, Args)]
pub struct ZooCommand {
    #[command(subcommand)]
    command: Subcommands,
}

#[derive(Debug, Subcommand)]
enum Subcommands {
    /// Train graphs from predicted weights and keep snapshots
    Grow(grow::Grow),
    /// Add a network that others trained
    Import(import::Import),
    /// List graphs, and what their checkpoints are worth
    List(list::List),
    /// Show everything that is known of a graph's checkpoints or of one checkpoint
    Show(show::Show),
    /// Check all files against the records
    Verify(verify::Verify),
    /// Write a checkpoint as an ONNX file and as a safetensors file
    Export(export::Export),
}

impl ZooCommand {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        match &self.command {
            Subcommands::Grow(command) => command.run(common),
            Subcommands::Import(command) => command.run(common),
            Subcommands::List(command) => command.run(common),
            Subcommands::Show(command) => command.run(common),
            Subcommands::Verify(command) => command.run(common),
            Subcommands::Export(command) => command.run(common),
        }
    }
}

/// The zoo that a command reads.
#[derive(Debug, Args)]
struct ZooArgs {
    /// Folder of the zoo
    #[arg(long, value_name = "DIR", default_value = "runs/zoo")]
    zoo: PathBuf,
}

impl ZooArgs {
    fn open(&self) -> Result<Zoo, Failure> {
        Ok(Zoo::open(&self.zoo)?)
    }
}

/// What a checkpoint grew from, for people.
fn parent(lineage: Option<&Lineage>) -> String {
    lineage.map_or_else(
        || "from elsewhere".to_owned(),
        |Lineage { predictor, hash }| format!("{predictor} ({})", start(hash)),
    )
}

/// The first digits of a hash, for people.
fn start(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

/// A share in per cent, for people.
fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}
