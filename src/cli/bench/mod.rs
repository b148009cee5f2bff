//! `weightsmith bench`

mod ablate;
mod compare;
mod contest;
mod export;
mod guard;
mod held_out;
mod html;
mod jury;
mod outcome;
mod rank;
mod sgd;
mod step;
mod subject;
mod table;
mod transfer;
mod trial;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::{onnx::atomic, predictor::BUNDLED, spaces::Space};

use super::{Common, Exit, Failure, bar};

use held_out::HeldOut;
use subject::Subject;

/// Compare predicted weights with baselines on graphs that no training saw.
#[derive(Debug, Args)]
pub struct Bench {
    #[command(subcommand)]
    command: BenchCommand,
}

#[derive(Debug, Subcommand)]
enum BenchCommand {
    /// Judge weights of held-out graphs on the test images beside those of random initialisation
    Transfer(transfer::Transfer),
    /// SGD from random initialisation on the first held-out graphs; results are kept graph by graph
    Sgd(sgd::Sgd),
    /// The differences between two results of `transfer`, graph by graph
    Compare(compare::Compare),
    /// Write the held-out graphs for another program to fill; see `transfer --predictor files:DIR`
    ExportGraphs(export::ExportGraphs),
    /// Ways to fill held-out graphs side by side: predictors, samplers, and what is made of several samples
    Ablate(ablate::Ablate),
    /// Seconds of an architecture-step: predictor and network, forward, backward and update
    Step(step::Step),
    /// Label-free scores against the trained accuracies of a public table
    Rank(rank::Rank),
}

/// What both benchmarks read.
#[derive(Debug, Args)]
struct Setting {
    /// A bundled predictor, a folder with config.json and model.safetensors, or files:DIR, a folder
    /// of networks that another program filled, each named after its graph
    #[arg(long, default_value = BUNDLED[0])]
    predictor: String,
    /// With files:DIR, the predictor whose images and space these networks share
    #[arg(long, value_name = "PREDICTOR")]
    like: Option<String>,
    /// The data set, by path
    #[arg(long)]
    data: PathBuf,
    /// Search space to draw from; by default the one the predictor was trained on
    #[arg(long)]
    space: Option<String>,
    /// Split of the corpus to take graphs from instead; may be given more than once
    #[arg(long = "split", value_name = "NAME", conflicts_with = "space")]
    splits: Vec<String>,
    /// Of the graphs, only the one of this name; may be given more than once
    #[arg(long = "graph", value_name = "NAME")]
    names: Vec<String>,
    /// Use the first N test images only
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

impl Bench {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        match &self.command {
            BenchCommand::Transfer(transfer) => transfer.run(common),
            BenchCommand::Sgd(sgd) => sgd.run(common),
            BenchCommand::Compare(compare) => compare.run(common),
            BenchCommand::ExportGraphs(export) => export.run(common),
            BenchCommand::Ablate(ablate) => ablate.run(common),
            BenchCommand::Step(step) => step.run(common),
            BenchCommand::Rank(rank) => rank.run(common),
        }
    }
}

impl Setting {
    fn subject(&self) -> Result<Subject, Failure> {
        Subject::open(&self.predictor, self.like.as_deref())
    }

    fn wants(&self, graph: &HeldOut) -> bool {
        self.names.is_empty() || self.names.contains(&graph.name)
    }

    fn space(&self, subject: &Subject) -> Result<Space, Failure> {
        let own = &subject.reference().config.training.space;
        Ok(Space::load(self.space.as_ref().unwrap_or(own))?)
    }
}

fn save(path: &Path, value: &impl Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    atomic::write(path, |out| out.write_all(&text))
        .map_err(|error| format!("{}: {error}", path.display()).into())
}
