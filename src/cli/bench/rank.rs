//! `weightsmith bench rank`

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use clap::Args;
use serde_json::json;

use crate::{
    benchmark::{
        ScoreTest, ScoreTestReport, TrainedNetworks,
        report::{Plot, Point},
    },
    cli::{
        Common, Exit, Failure,
        output::{self, Replace},
        print, print_json,
        progress::watch,
        rank::{Judging, score_cells},
    },
    rank::{Record, metrics::Agreement},
};

/// Compare label-free scores with trained accuracies.
#[derive(Debug, Args)]
pub struct Rank {
    /// A table of NAS-Bench-Macro, of NAS-Bench-101 (the scores of NAS-Bench-Suite-Zero) or of
    /// NAS-Bench-201 (an object from architecture strings to accuracies), comma-separated values of DARTS cells
    /// or of TransNAS-Bench-101, what `bench sgd` wrote, or, with --graphs, comma-separated values of any
    /// networks
    #[arg(long)]
    table: PathBuf,
    /// Column of the accuracies, where the table has several
    #[arg(long, value_name = "COLUMN")]
    target: Option<String>,
    /// Folder of the networks, `<name>.onnx` by the first column of the table
    #[arg(long, value_name = "DIR", requires = "target", conflicts_with = "reduced")]
    graphs: Option<PathBuf>,
    /// Score N distinct networks, drawn by the seed
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Build one cell where the benchmark stacks several
    #[arg(long)]
    reduced: bool,
    /// Also refine `auto` by so many trained accuracies and compare on the other networks, each in 20 draws
    #[arg(long, value_name = "N,N", value_delimiter = ',')]
    labels: Vec<usize>,
    #[command(flatten)]
    judging: Judging,
    /// Write the result as JSON; one of another command is not replaced without --force
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write every network's trained accuracy and scores
    #[arg(long, value_name = "FILE.csv")]
    csv: Option<PathBuf>,
    /// Draw the joined score by trained accuracy
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    #[command(flatten)]
    replace: Replace,
}

impl Rank {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        self.replace.check(self.out.as_deref())?;
        let selection = self.judging.selection()?;
        let selection = if self.labels.is_empty() { selection } else { selection.counting() };
        let judge = self.judging.judge(&selection, common, None)?;
        let seen = judge.probe.predictor.as_ref().map(|predictor| &predictor.seen);
        let mut trained = match (&self.graphs, self.target.as_deref()) {
            (Some(folder), Some(target)) => TrainedNetworks::of_files(&self.table, target, folder)?,
            (_, target) => TrainedNetworks::open(&self.table, target, self.reduced, seen)?,
        };
        if let Some(limit) = self.limit {
            trained.draw(limit, common.seed);
        }
        let by = selection.aggregate();
        let jobs = self.judging.jobs();
        let labels = self.labels.as_slice();
        let test =
            ScoreTest { trained: &trained, judge: &judge, by, jobs, labels, seed: common.seed };
        let ScoreTestReport { networks, records, joined, results, few, seconds_per_graph, refused } =
            test.run(&*watch("graphs", common));
        if records.is_empty() {
            let why = refused.values().next().cloned().unwrap_or_else(|| "it is empty".to_owned());
            return Err(format!("no network of the table can be scored: {why}").into());
        }
        let report = json!({
            "schema": 1,
            "command": output::command_line(),
            "seed": common.seed,
            "table": trained.table,
            "target": trained.target,
            "keys": trained.keys,
            "distinct": trained.distinct,
            "graphs": records.len(),
            "reduced": self.reduced,
            "by": by,
            "predictor_hash": judge.probe.predictor.as_ref().map(|it| it.hash.clone()),
            "probe": judge.probe.images.shape,
            "seconds_per_graph": seconds_per_graph,
            "results": results,
            "few_labels": few,
            "refused": refused,
        });
        if let Some(path) = &self.out {
            output::save(path, &report)?;
        }
        if let Some(path) = &self.csv {
            output::write(path, &csv(&networks, &records, &joined))?;
        }
        if let Some(path) = &self.plot {
            output::write(path, &picture(&networks, &joined))?;
        }
        if common.json {
            print_json(&report)?;
            return Ok(Exit::Success);
        }
        print(&format!(
            "{}: {} of {} distinct networks ({} keys); {}\nseed {}, {seconds_per_graph:.2} s a graph",
            trained.table,
            records.len(),
            trained.distinct,
            trained.keys,
            trained.target,
            common.seed,
        ))?;
        print(&lines(&results))?;
        for (count, it) in &few {
            print(&format!(
                "{count} labels: auto refined {:.3}, parameters refined {:.3}, auto alone {:.3} (tau-b of the others)",
                it.refined, it.by_parameters, it.alone
            ))?;
        }
        for (network, why) in &refused {
            tracing::warn!("{network}: {why}");
        }
        Ok(Exit::Success)
    }
}

/// Best first.
fn lines(results: &BTreeMap<String, Agreement>) -> String {
    let mut text = format!(
        "{:<20} {:>6} {:>6}  {:<14} {:>6} {:>8} {:>8} {:>6} {:>8} {:>9}\n",
        "score",
        "graphs",
        "tau-b",
        "95 %",
        "rho",
        "top tau",
        "top rho",
        "nDCG",
        "regret@1",
        "regret@10"
    );
    let mut sorted: Vec<_> = results.iter().collect();
    sorted.sort_by(|a, b| b.1.kendall.total_cmp(&a.1.kendall));
    for (name, it) in sorted {
        let interval = format!("{:.3} {:.3}", it.interval[0], it.interval[1]);
        text += &format!(
            "{name:<20} {:>6} {:>6.3}  {interval:<14} {:>6.3} {:>8.3} {:>8.3} {:>6.3} {:>8.2} {:>9.2}\n",
            it.graphs,
            it.kendall,
            it.spearman,
            it.top_kendall,
            it.top_spearman,
            it.ndcg,
            it.regret_1,
            it.regret_10,
        );
    }
    text.truncate(text.trim_end().len());
    text
}

/// A line for each network; a score that it has not is empty.
fn csv(networks: &[(String, f64)], records: &[Record], joined: &[f64]) -> String {
    let names: BTreeSet<&String> = records.iter().flat_map(|it| it.scores.keys()).collect();
    let mut text = "name,accuracy,joined".to_owned();
    names.iter().for_each(|name| text += &format!(",{name}"));
    for (((name, accuracy), record), joined) in networks.iter().zip(records).zip(joined) {
        text += &format!("\n\"{name}\",{accuracy},{joined}");
        text += &score_cells(&record.scores, names.iter().copied());
    }
    text + "\n"
}

fn picture(networks: &[(String, f64)], scores: &[f64]) -> String {
    let points = networks.iter().zip(scores).map(|((name, accuracy), score)| Point {
        x: *score,
        y: *accuracy,
        front: false,
        label: format!("{name}: {accuracy:.2} %"),
    });
    let points = points.collect();
    let (x, y) = ("joined log-rank", "trained accuracy (%)");
    Plot { title: "Score against trained accuracy", x, y, points }.svg()
}
