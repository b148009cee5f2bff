//! `weightsmith bench export-graphs`

use std::path::PathBuf;

use clap::Args;

use crate::{
    benchmark::{Export, Subject},
    predictor::BUNDLED,
};

use super::{
    super::{Common, Exit, Failure, output::Replace, print, print_json},
    GraphArgs,
};

#[derive(Debug, Args)]
pub(super) struct ExportGraphs {
    /// Folder for the graphs
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The predictor whose images and space the graphs are for
    #[arg(long, default_value = BUNDLED[0])]
    like: String,
    #[command(flatten)]
    from: GraphArgs,
    /// Held-out graphs, of every split
    #[arg(long, default_value_t = 100)]
    graphs: u64,
    #[command(flatten)]
    replace: Replace,
}

impl ExportGraphs {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let subject = Subject::open(&self.like, None)?;
        let export = Export {
            sets: &self.from.held_out(&subject, self.graphs)?,
            space: &self.from.space(&subject)?.name,
            like: subject.reference(),
            replace: self.replace.force,
        };
        let card = export.write(&self.out)?;
        match common.json {
            true => print_json(&card.to_json())?,
            false => print(&format!(
                "{} graphs in {}; images are scaled to 0–1 and normalised as graphs.json says. Fill \
                 each and run bench transfer --predictor files:DIR",
                card.graphs.len(),
                self.out.display()
            ))?,
        }
        Ok(Exit::Success)
    }
}
