//! `weightsmith bench rank`

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use clap::Args;
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use crate::{
    cli::{
        Common, Exit, Failure,
        plot::{Axis, Plot, Point},
        print, print_json,
        rank::{Judging, score_cells},
    },
    fill::Network,
    graph::DimBindings,
    onnx::{Model, atomic},
    rank::{Aggregate, Record, metrics::Agreement, spread},
};

use super::{
    bar,
    contest::{Contestant, contest},
    save,
};

/// Compare label-free scores with trained accuracies.
#[derive(Debug, Args)]
pub struct Rank {
    /// A table of NAS-Bench-Macro, of NAS-Bench-101 (the scores of NAS-Bench-Suite-Zero) or of
    /// NAS-Bench-201 (an object from architecture strings to accuracies), or what `bench sgd` wrote
    #[arg(long)]
    table: PathBuf,
    /// Judge N distinct networks, drawn by the seed
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Build one cell where the benchmark stacks several
    #[arg(long)]
    reduced: bool,
    #[command(flatten)]
    judging: Judging,
    /// Write the result as JSON
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write every network's trained accuracy and scores
    #[arg(long, value_name = "FILE.csv")]
    csv: Option<PathBuf>,
    /// Draw the joined score by trained accuracy
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
}

impl Rank {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let judge = self.judging.judge(common)?;
        let seen = judge.probe.predictor.as_ref().map(|predictor| &predictor.seen);
        let (origin, mut entries) = contest(&self.table, self.reduced, seen)?;
        if let Some(limit) = self.limit {
            entries.shuffle(&mut ChaCha8Rng::seed_from_u64(common.seed));
            entries.truncate(limit);
        }
        let bar = bar(entries.len(), common);
        let records = spread(entries.iter(), self.judging.jobs(), |entry| {
            let model = Model::from_bytes(&entry.name, entry.onnx())?;
            let network = Network::of(model, DimBindings::default())?;
            let record = judge.judge(&network.architecture, &network.registry)?;
            bar.inc(1);
            Ok(record)
        });
        bar.finish_and_clear();
        let records: Vec<Record> = records.into_iter().collect::<Result<_, Failure>>()?;
        let accuracies: Vec<f64> = entries.iter().map(|entry| entry.accuracy).collect();
        let by = self.judging.aggregate()?;
        let column = |name: &str| -> Vec<Option<f64>> {
            records.iter().map(|record| record.scores.get(name).copied()).collect()
        };
        let mut results: BTreeMap<String, Agreement> = BTreeMap::new();
        let mut compare = |name: &str, scores: &[f64], list: &[f64], accuracies: &[f64]| {
            let random = &mut ChaCha8Rng::seed_from_u64(common.seed);
            results.insert(name.to_owned(), Agreement::of(scores, list, accuracies, random));
        };
        for score in &judge.scores {
            let known = column(score.name()).into_iter().zip(&accuracies);
            let (scores, accuracies): (Vec<f64>, Vec<f64>) =
                known.filter_map(|(score, accuracy)| Some((score?, *accuracy))).unzip();
            compare(score.name(), &scores, &scores, &accuracies);
        }
        let parameters: Vec<f64> = records.iter().map(|record| record.parameters as f64).collect();
        compare("parameters", &parameters, &parameters, &accuracies);
        let ranked = by.rank(column);
        let listed: Vec<f64> = ranked.iter().map(|it| -(it.listed as f64)).collect();
        let aggregated: Vec<f64> = ranked.into_iter().map(|it| it.score.max(f64::MIN)).collect();
        let label = match by {
            Aggregate::InOrder(_) => "auto",
            Aggregate::LogRanks(_) => "joined",
        };
        compare(label, &aggregated, &listed, &accuracies);
        let seconds: f64 = records.iter().map(|record| record.seconds).sum();
        let per_graph = seconds / records.len().max(1) as f64;
        let report = json!({
            "schema": 1,
            "command": std::env::args().collect::<Vec<_>>().join(" "),
            "seed": common.seed,
            "table": origin.table,
            "target": origin.target,
            "keys": origin.keys,
            "distinct": origin.distinct,
            "graphs": records.len(),
            "reduced": self.reduced,
            "by": by,
            "predictor_hash": judge.probe.predictor.as_ref().map(|it| it.hash.clone()),
            "probe": judge.probe.images.shape,
            "seconds_per_graph": per_graph,
            "results": results,
        });
        if let Some(path) = &self.out {
            save(path, &report)?;
        }
        if let Some(path) = &self.csv {
            let text = csv(&entries, &records, &aggregated);
            atomic::write(path, |out| out.write_all(text.as_bytes()))
                .map_err(|error| format!("{}: {error}", path.display()))?;
        }
        if let Some(path) = &self.plot {
            let svg = picture(&entries, &aggregated);
            atomic::write(path, |out| out.write_all(svg.as_bytes()))
                .map_err(|error| format!("{}: {error}", path.display()))?;
        }
        if common.json {
            print_json(&report)?;
            return Ok(Exit::Success);
        }
        print(&format!(
            "{}: {} of {} distinct networks ({} keys); {}\nseed {}, {per_graph:.2} s a graph",
            origin.table,
            records.len(),
            origin.distinct,
            origin.keys,
            origin.target,
            common.seed,
        ))?;
        print(&lines(&results))?;
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
fn csv(entries: &[Contestant], records: &[Record], joined: &[f64]) -> String {
    let names: BTreeSet<&String> = records.iter().flat_map(|it| it.scores.keys()).collect();
    let mut text = "name,accuracy,joined".to_owned();
    names.iter().for_each(|name| text += &format!(",{name}"));
    for ((entry, record), joined) in entries.iter().zip(records).zip(joined) {
        text += &format!("\n\"{}\",{},{joined}", entry.name, entry.accuracy);
        text += &score_cells(&record.scores, names.iter().copied());
    }
    text + "\n"
}

fn picture(entries: &[Contestant], scores: &[f64]) -> String {
    let points = entries.iter().zip(scores).map(|(entry, score)| Point {
        x: *score,
        y: entry.accuracy,
        front: false,
        label: format!("{}: {:.2} %", entry.name, entry.accuracy),
    });
    let points = points.collect();
    let (x, y) = (Axis { name: "joined log-rank" }, Axis { name: "trained accuracy (%)" });
    Plot { title: "Score against trained accuracy", x, y, points }.svg()
}
