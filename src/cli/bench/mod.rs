//! `weightsmith bench`

mod compare;
mod data;
mod export;
mod rank;
mod sgd;
mod step;
mod table;
mod transfer;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::{
    benchmark::{HeldOutSet, Subject, held_out},
    predictor::BUNDLED,
    spaces::Space,
};

use super::{Common, Exit, Failure};

/// Compare predicted weights with baselines on graphs that no training saw.
#[derive(Debug, Args)]
pub struct Bench {
    #[command(subcommand)]
    command: BenchCommand,
}

#[derive(Debug, Subcommand)]
enum BenchCommand {
    /// Evaluate weights of held-out graphs on the test images beside those of random initialisation
    Transfer(transfer::Transfer),
    /// Networks for labelled images: held-out graphs × data sets × numbers of images × methods
    Data(Box<data::Data>),
    /// SGD from random initialisation on the first held-out graphs; results are kept graph by graph
    Sgd(sgd::Sgd),
    /// The differences between two results of `transfer`, graph by graph
    Compare(compare::Compare),
    /// Write the held-out graphs for another program to fill; see `transfer --predictor files:DIR`
    ExportGraphs(export::ExportGraphs),
    /// Seconds of an architecture-step: predictor and network, forward, backward and update
    Step(step::Step),
    /// Label-free scores against the trained accuracies of a public table
    Rank(rank::Rank),
}

/// What both benchmarks read.
#[derive(Debug, Args)]
struct Setting {
    /// A bundled predictor, a folder with config.json and model.safetensors, `he` for random weights, or
    /// files:DIR, a folder of networks that another program filled, each named after its graph
    #[arg(long, default_value = BUNDLED[0])]
    predictor: String,
    /// With files:DIR or he, the predictor whose images and space these networks share
    #[arg(long, value_name = "PREDICTOR")]
    like: Option<String>,
    /// The data set, by path
    #[arg(long)]
    data: PathBuf,
    #[command(flatten)]
    graphs: GraphArgs,
    /// Of the graphs, only the one of this name; may be given more than once
    #[arg(long = "graph", value_name = "NAME")]
    names: Vec<String>,
    /// Use the first N test images only
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

/// Where held-out graphs come from.
#[derive(Debug, Args)]
struct GraphArgs {
    /// Search space to draw from; by default the one the predictor was trained on
    #[arg(long)]
    space: Option<String>,
    /// Split of the corpus to take graphs from instead; may be given more than once
    #[arg(long = "split", value_name = "NAME", conflicts_with = "space")]
    splits: Vec<String>,
}

impl Bench {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        match &self.command {
            BenchCommand::Transfer(transfer) => transfer.run(common),
            BenchCommand::Data(data) => data.run(common),
            BenchCommand::Sgd(sgd) => sgd.run(common),
            BenchCommand::Compare(compare) => compare.run(common),
            BenchCommand::ExportGraphs(export) => export.run(common),
            BenchCommand::Step(step) => step.run(common),
            BenchCommand::Rank(rank) => rank.run(common),
        }
    }
}

impl Setting {
    fn subject(&self) -> Result<Subject, Failure> {
        Ok(Subject::open(&self.predictor, self.like.as_deref())?)
    }
}

impl GraphArgs {
    fn space(&self, subject: &Subject) -> Result<Space, Failure> {
        let own = &subject.reference().config.training.space;
        Ok(Space::load(self.space.as_ref().unwrap_or(own))?)
    }

    fn held_out(&self, subject: &Subject, count: u64) -> Result<Vec<HeldOutSet>, Failure> {
        Ok(held_out(&self.space(subject)?, &self.splits, count)?)
    }
}
