//! `weightsmith bench export-graphs`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::{onnx::atomic, predictor::BUNDLED, spaces::Space};

use super::{
    super::{Common, Exit, Failure, print, print_json},
    held_out::held_out,
    save,
    subject::Subject,
};

/// Name of the file that says how images are read.
const CARD: &str = "graphs.json";

#[derive(Debug, Args)]
pub(super) struct ExportGraphs {
    /// Folder for the graphs
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The predictor whose images and space the graphs are for
    #[arg(long, default_value = BUNDLED[0])]
    like: String,
    /// Search space to draw from; by default the one the predictor was trained on
    #[arg(long)]
    space: Option<String>,
    /// Split of the corpus to take graphs from instead; may be given more than once
    #[arg(long = "split", value_name = "NAME", conflicts_with = "space")]
    splits: Vec<String>,
    /// Held-out graphs, of every split
    #[arg(long, default_value_t = 100)]
    graphs: u64,
}

impl ExportGraphs {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let subject = Subject::open(&self.like, None)?;
        let config = &subject.reference().config;
        let space = Space::load(self.space.as_ref().unwrap_or(&config.training.space))?;
        std::fs::create_dir_all(&self.out)
            .map_err(|error| format!("{}: {error}", self.out.display()))?;
        let sets = held_out(&space, &self.splits, self.graphs)?;
        let graphs: Vec<_> = sets.into_iter().flat_map(|set| set.graphs).collect();
        for graph in &graphs {
            let path = self.out.join(format!("{}.onnx", graph.name));
            atomic::write(&path, |out| out.write_all(&graph.onnx))
                .map_err(|error| format!("{}: {error}", path.display()))?;
        }
        let card = json!({
            "schema": 1,
            "space": space.name,
            "input": config.input,
            "classes": config.classes,
            "graphs": graphs.iter().map(|graph| &graph.name).collect::<Vec<_>>(),
        });
        save(&self.out.join(CARD), &card)?;
        match common.json {
            true => print_json(&card)?,
            false => print(&format!(
                "{} graphs in {}; images are scaled to 0–1 and normalised as {CARD} says. Fill \
                 each and run bench transfer --predictor files:DIR",
                graphs.len(),
                self.out.display()
            ))?,
        }
        Ok(Exit::Success)
    }
}
