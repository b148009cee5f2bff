//! `weightsmith zoo list`

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use clap::Args;
use serde::Serialize;
use serde_json::json;

use crate::{
    onnx::atomic,
    zoo::{Record, Summary, Zoo},
};

use super::{
    super::{Common, Exit, Failure, print, print_json},
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

/// One graph.
#[derive(Debug, Serialize)]
struct Row {
    fingerprint: String,
    checkpoints: usize,
    parents: usize,
    /// Training steps of the checkpoints.
    steps: Vec<u64>,
    /// Least and greatest validation accuracy.
    accuracy: Option<[f64; 2]>,
}

impl Row {
    fn of(fingerprint: u64, records: &[Record]) -> Self {
        let steps: BTreeSet<u64> = records.iter().map(|record| record.step).collect();
        let parents: BTreeSet<_> = records.iter().map(|record| &record.lineage).collect();
        let scores = records.iter().filter_map(|record| record.validation);
        let accuracy = scores.map(|score| score.accuracy).fold(None, |range, accuracy| {
            let [least, most] = range.unwrap_or([accuracy; 2]);
            Some([accuracy.min(least), accuracy.max(most)])
        });
        Self {
            fingerprint: format!("{fingerprint:016x}"),
            checkpoints: records.len(),
            parents: parents.len(),
            steps: steps.into_iter().collect(),
            accuracy,
        }
    }
}

impl List {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let zoo = self.zoo.open()?;
        let rows: Vec<Row> =
            zoo.graphs().map(|graph| Row::of(graph, zoo.of_graph(graph))).collect();
        let summary = Summary::of(&zoo);
        if let Some(path) = &self.summary {
            let mut text = serde_json::to_vec_pretty(&summary)?;
            text.push(b'\n');
            atomic::write(path, |out| out.write_all(&text))
                .map_err(|error| format!("{}: {error}", path.display()))?;
        }
        match common.json {
            true => print_json(&json!({ "schema": 1, "summary": summary, "graphs": rows }))?,
            false => table(&zoo, &rows, &summary)?,
        }
        Ok(Exit::Success)
    }
}

fn table(zoo: &Zoo, rows: &[Row], summary: &Summary) -> Result<(), Failure> {
    print("graph             checkpoints  parents  least top-1  most top-1  steps")?;
    for Row { fingerprint, checkpoints, parents, steps, accuracy } in rows {
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
