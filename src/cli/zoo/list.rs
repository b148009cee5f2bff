//! `weightsmith zoo list`

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use serde_json::json;

use crate::zoo::{GraphSummary, Summary, Zoo};

use super::{
    super::{Common, Exit, Failure, output, print, print_json},
    ZooArgs, parent, percent,
};

/// List graphs, and what their checkpoints are worth.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    zoo: ZooArgs,
    /// Write counts and quality by parent and step, small enough to be kept beside the code
    #[arg(long, value_name = "FILE.json")]
    summary: Option<PathBuf>,
}

impl List {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let zoo = self.zoo.open()?;
        let rows = GraphSummary::all(&zoo);
        let summary = Summary::of(&zoo);
        if let Some(path) = &self.summary {
            output::save(path, &summary)?;
        }
        match common.json {
            true => print_json(&json!({ "schema": 1, "summary": summary, "graphs": rows }))?,
            false => table(&zoo, &rows, &summary)?,
        }
        Ok(Exit::Success)
    }
}

fn table(zoo: &Zoo, rows: &[GraphSummary], summary: &Summary) -> Result<(), Failure> {
    print("graph             checkpoints  parents  least top-1  most top-1  steps")?;
    for GraphSummary { fingerprint, checkpoints, parents, steps, accuracy } in rows {
        let [least, most] = accuracy.map_or_else(Default::default, |range| range.map(percent));
        let steps: Vec<String> = steps.iter().map(u64::to_string).collect();
        let steps = steps.join(" ");
        print(&format!(
            "{fingerprint}  {checkpoints:11}  {parents:7}  {least:>11}  {most:>10}  {steps}"
        ))?;
    }
    let mut medians: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for group in &summary.parents {
        let steps = group.steps.iter().filter_map(|step| {
            let [.., median, _, _] = step.accuracy?;
            Some(format!("{} after {}", percent(median), step.step))
        });
        medians.entry(parent(group.lineage.as_ref())).or_default().extend(steps);
    }
    for (parent, medians) in medians {
        print(&format!("{parent}: median top-1 {}", medians.join(", ")))?;
    }
    print(&format!(
        "{} checkpoints of {} graphs, {} tensor files, {} values in {}",
        summary.checkpoints,
        summary.graphs,
        summary.tensors,
        summary.values,
        zoo.folder().display()
    ))
}
