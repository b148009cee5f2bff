//! `weightsmith bench sgd`

use std::path::PathBuf;

use clap::Args;

use crate::{
    benchmark::{HeldOut, Sgd as Training, SgdTable},
    data::{Dataset, Split},
};

use super::{
    super::{Common, Exit, Failure, print, print_json, progress::watch},
    Setting,
};

#[derive(Debug, Args)]
pub(super) struct Sgd {
    #[command(flatten)]
    setting: Setting,
    /// Held-out graphs
    #[arg(long, default_value_t = 10)]
    graphs: u64,
    /// Lengths of training, each a run of its own
    #[arg(long, value_delimiter = ',', default_values_t = [1, 5, 20])]
    epochs: Vec<usize>,
    /// Write the trained networks, the longest training of each graph, as references for `transfer`
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// File that results are added to; one of other images or another seed is refused
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Sgd {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let subject = self.setting.subject()?;
        let input = subject.input();
        let open = |split| -> Result<Dataset, Failure> {
            Ok(Dataset::open(&self.setting.data, split)?.with_channels(input.channels())?)
        };
        let (test, train) = (open(Split::Test)?, open(Split::Train)?);
        let images = self.setting.limit.unwrap_or(usize::MAX).min(test.len());
        let table = SgdTable::resume(&self.out, &train.hash, common.seed, images)?;
        let sets = self.setting.graphs.held_out(&subject, self.graphs)?;
        let names = &self.setting.names;
        let wanted = |graph: &HeldOut| names.is_empty() || names.contains(&graph.name);
        let graphs: Vec<HeldOut> =
            sets.into_iter().flat_map(|set| set.graphs).filter(wanted).collect();
        let training = Training {
            input,
            train: &train,
            test: &test,
            images,
            epochs: &self.epochs,
            seed: common.seed,
            keep: self.keep.as_deref(),
        };
        let (table, failed) =
            training.run(&graphs, table, &self.out, &*watch("trainings", common))?;
        match common.json {
            true => print_json(&table)?,
            false => print(&format!("{} graphs in {}", table.len(), self.out.display()))?,
        }
        for (graph, why) in &failed {
            tracing::warn!("{graph} was not trained: {why}");
        }
        Ok(if failed.is_empty() { Exit::Success } else { Exit::Partial })
    }
}
