//! Experiments of weightsmith: questions that were asked once. See README.md beside this crate.

mod ablate;
mod retrieval;
mod shuffle;

use std::{error::Error, process::ExitCode};

use clap::Parser;

/// Any error a command can end with.
type Failure = Box<dyn Error + Send + Sync>;

/// Runs the experiments of weightsmith.
#[derive(Debug, Parser)]
#[command(version)]
enum Command {
    /// Fill held-out graphs in several ways, side by side
    Ablate(ablate::Ablate),
    /// Copy a zoo with the channels of every checkpoint permuted at random: a zoo without a common gauge
    ShuffleZoo(shuffle::ShuffleZoo),
}

fn main() -> ExitCode {
    let ended = match Command::parse() {
        Command::Ablate(ablate) => ablate.run(),
        Command::ShuffleZoo(shuffle) => shuffle.run(),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}
