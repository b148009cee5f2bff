//! `weightsmith rank label`

use std::path::PathBuf;

use clap::Args;

use crate::{
    cli::{Common, Exit, Failure, print, print_json, progress::watch},
    data::{Dataset, Split},
    rank::labels::{LabelFile, LabelSetting, Labelling, ranking_spaces},
};

#[derive(Debug, Args)]
pub(super) struct Label {
    /// The data set, by path; its training images are used
    #[arg(long)]
    data: PathBuf,
    /// File that labels are added to, a line each; one of another setting is refused
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Spaces that graphs are drawn from; by default those of architectures/ranking.toml
    #[arg(long, value_name = "FILE.toml")]
    spaces: Option<PathBuf>,
    /// Graphs of each space
    #[arg(long, default_value_t = 48)]
    graphs: u64,
    /// Training images
    #[arg(long, default_value_t = 2500)]
    images: usize,
    /// Further images that accuracies are measured on
    #[arg(long, default_value_t = 1500)]
    validation: usize,
    /// Passes over the training images
    #[arg(long, default_value_t = 4)]
    epochs: usize,
    /// Graphs at a time; by default one for each core
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
}

impl Label {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let spaces = ranking_spaces(self.spaces.as_deref())?;
        let data = Dataset::open(&self.data, Split::Train)?;
        for space in &spaces {
            space.check_classes(data.classes.len(), &self.data)?;
        }
        let setting = LabelSetting {
            data_hash: data.hash.clone(),
            images: self.images,
            validation: self.validation,
            epochs: self.epochs,
            seed: common.seed,
        };
        let file = LabelFile::open(&self.out, &setting)?;
        let labelling = Labelling::new(&spaces, self.graphs, &data, setting)?;
        let failed = labelling.run(&file, super::cores(self.jobs), &*watch("graphs", common))?;
        let total = self.graphs * spaces.len() as u64;
        match common.json {
            true => print_json(&serde_json::json!({
                "schema": 1,
                "graphs": total,
                "failed": failed,
            }))?,
            false => print(&format!("{total} graphs in {}", self.out.display()))?,
        }
        for (graph, why) in &failed {
            tracing::warn!("{graph} was not trained: {why}");
        }
        Ok(if failed.is_empty() { Exit::Success } else { Exit::Partial })
    }
}
