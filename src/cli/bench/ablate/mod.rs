//! `weightsmith bench ablate`

mod config;
mod draws;
mod progress;
mod table;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Instant,
};

use clap::Args;
use serde::Serialize;

use crate::{
    data::Dataset,
    evaluate::{Comparison, Interval},
    fill::{FillError, TOOL, support_set, validation_set},
    memory,
    onnx::atomic,
    predictor::Predictor,
    rank::metrics::spearman,
    spaces::Space,
};

use super::{
    super::{
        Common, Exit, Failure,
        evaluate::Part,
        plot::{Axis, Plot, Point},
        print, print_json,
    },
    bar,
    guard::Guard,
    held_out::held_out,
    save,
    subject::Subject,
};

use config::{AblationConfig, Combine, Row};
use draws::{Bench, Outcome};
use progress::Progress;

/// Version of what is written.
const SCHEMA: u32 = 1;

#[derive(Debug, Args)]
pub(super) struct Ablate {
    /// The rows of the table, a TOML file: see benches/configs/ablation.toml
    config: PathBuf,
    /// The data set, by path
    #[arg(long)]
    data: PathBuf,
    /// Graphs of every split, if not as many as the file says
    #[arg(long)]
    graphs: Option<u64>,
    /// Pass over the first N graphs of every split: those of a table that something is being chosen for
    #[arg(long, value_name = "N", default_value_t = 0)]
    skip: u64,
    /// Images to judge by: `val` while anything is still being chosen
    #[arg(long, value_enum, default_value_t = Part::Test)]
    split: Part,
    /// Test images, the first N, if not as many as the file says
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Only rows whose name contains this; may be given more than once. The first row stays
    #[arg(long = "row", value_name = "TEXT")]
    rows: Vec<String>,
    /// Draw what was asked for and what was reached, of the rows that ask for a quality
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Write the result as JSON; until then, what is done lies in FILE.part
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Go on with FILE.part, if there is one
    #[arg(long, requires = "out")]
    resume: bool,
}

/// A whole run.
#[derive(Debug, Serialize)]
struct Report {
    schema: u32,
    tool: String,
    command: String,
    seed: u64,
    config: AblationConfig,
    data_hash: String,
    /// By name.
    predictors: BTreeMap<String, String>,
    rows: Vec<RowResult>,
    /// Spearman correlation, over rows that ask for a quality, of what was asked and what was reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    quality_control: Option<f64>,
    /// Of the process that ended; a run that was resumed took longer.
    seconds: f64,
    peak_memory_bytes: Option<u64>,
}

/// One row over all graphs.
#[derive(Debug, Serialize)]
struct RowResult {
    name: String,
    /// Mean over graphs and draws.
    top1: Interval,
    /// Means over the graphs of every split.
    splits: BTreeMap<String, f64>,
    /// Standard deviation, over draws, of the mean over graphs.
    draw_spread: f64,
    /// Against the first row.
    comparison: Option<Comparison>,
    /// Mean overlap of mistakes between samples, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    overlap: Option<f64>,
    /// Mean seconds of writing one sample.
    seconds: f64,
    /// By graph.
    graphs: BTreeMap<String, f64>,
}

impl Ablate {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let started = Instant::now();
        let mut config = AblationConfig::load(&self.config)?;
        config.graphs = self.graphs.unwrap_or(config.graphs);
        config.images = self.limit.unwrap_or(config.images);
        let mut position = 0;
        config.rows.retain(|row| {
            position += 1;
            position == 1
                || self.rows.is_empty()
                || self.rows.iter().any(|text| row.name.contains(text))
        });
        let mut subjects: BTreeMap<String, Subject> = BTreeMap::new();
        for row in &config.rows {
            if !subjects.contains_key(&row.predictor) {
                // What is retrieved is for the images of the first row's predictor.
                let like = Some(config.rows[0].predictor.as_str());
                subjects.insert(row.predictor.clone(), Subject::open(&row.predictor, like)?);
            }
        }
        let judged: Vec<&Subject> = subjects.values().collect();
        let input = judged[0].input().clone();
        if judged.iter().any(|subject| *subject.input() != input) {
            return Err("the rows' predictors read different images".into());
        }
        let mut guard = Guard::new(&judged, &self.data)?;
        let test = Dataset::open(&self.data, self.split.into())?;
        let test = guard.images(test.with_channels(input.channels())?)?;
        let space = Space::load(&judged[0].reference().config.training.space)?;
        let last = self.skip.saturating_add(config.graphs);
        // The guard refuses some; more take their places.
        let mut sets = held_out(&space, &config.splits, last.saturating_add(last / 4 + 4))?;
        for set in &mut sets {
            let unseen = guard.graphs(&set.space, std::mem::take(&mut set.graphs))?.into_iter();
            set.graphs = unseen.take(last as usize).skip(self.skip as usize).collect();
        }
        let graphs: Vec<_> =
            sets.iter().flat_map(|set| set.graphs.iter().map(move |it| (&set.split, it))).collect();
        if graphs.is_empty() {
            return Err("no graph is left: pass over fewer with --skip".into());
        }
        let predictors: BTreeMap<String, String> =
            subjects.iter().map(|(name, it)| (name.clone(), it.hash(&[]))).collect();
        let AblationConfig { rows, images, draws, .. } = &config;
        let setting = (rows, images, draws, &predictors, &test.hash, common.seed);
        let mut progress = Progress::open(self.out.as_deref(), self.resume, &setting)?;
        let open = |wanted: bool, set: fn(&Path, &Predictor) -> Result<Dataset, FillError>| {
            wanted.then(|| set(&self.data, judged[0].reference())).transpose()
        };
        let support = open(config.rows.iter().any(|row| row.steering.is_some()), support_set)?;
        let agreement = |row: &Row| row.combine == Combine::Agreement;
        let unlabelled = open(config.rows.iter().any(agreement), validation_set)?;
        let bench = Bench {
            config: &config,
            subjects: &subjects,
            test: &test,
            unlabelled: unlabelled.as_ref(),
            support: support.as_ref(),
            seed: common.seed,
        };
        let bar = bar(graphs.len(), common);
        let mut outcomes: Vec<(&String, &str, Vec<Outcome>)> = Vec::with_capacity(graphs.len());
        for (split, graph) in &graphs {
            let of_graph = match progress.of(&graph.name) {
                Some(known) => known.to_vec(),
                None => progress.add(&graph.name, bench.rows(graph)?)?.to_vec(),
            };
            outcomes.push((*split, &graph.name, of_graph));
            bar.inc(1);
        }
        bar.finish_and_clear();
        let rows: Vec<RowResult> = (0..config.rows.len())
            .map(|row| RowResult::of(row, &config, &outcomes, common.seed))
            .collect();
        let asked: (Vec<f64>, Vec<f64>) = config
            .rows
            .iter()
            .zip(&rows)
            .filter_map(|(row, result)| Some((f64::from(row.quality?), result.top1.mean)))
            .unzip();
        if let Some(path) = &self.plot {
            let svg = picture(&asked).svg();
            atomic::write(path, |out| out.write_all(svg.as_bytes()))
                .map_err(|error| format!("{}: {error}", path.display()))?;
        }
        let report = Report {
            schema: SCHEMA,
            tool: TOOL.to_owned(),
            command: std::env::args().collect::<Vec<_>>().join(" "),
            seed: common.seed,
            predictors,
            data_hash: test.hash.clone(),
            rows,
            quality_control: (asked.0.len() > 2).then(|| spearman(&asked.0, &asked.1)),
            seconds: started.elapsed().as_secs_f64(),
            peak_memory_bytes: memory::peak(),
            config: config.clone(),
        };
        if let Some(path) = &self.out {
            save(path, &report)?;
        }
        progress.end()?;
        match common.json {
            true => print_json(&report)?,
            false => print(&table::table(&report))?,
        }
        Ok(Exit::Success)
    }
}

/// Accuracies by the quality that was asked for.
fn picture((asked, reached): &(Vec<f64>, Vec<f64>)) -> Plot {
    let point = |(&x, &top1): (&f64, &f64)| {
        let y = 100.0 * top1;
        Point { x, y, front: true, label: format!("quality {x:.2}: {y:.2} %") }
    };
    Plot {
        title: "Quality asked for and reached on held-out graphs",
        x: Axis { name: "quality asked for, over the range of the zoo" },
        y: Axis { name: "top-1, %" },
        points: asked.iter().zip(reached).map(point).collect(),
    }
}

impl RowResult {
    fn of(
        row: usize,
        config: &AblationConfig,
        outcomes: &[(&String, &str, Vec<Outcome>)],
        seed: u64,
    ) -> Self {
        let of_graph: Vec<(&String, &str, &Outcome)> =
            outcomes.iter().map(|(split, name, rows)| (*split, *name, &rows[row])).collect();
        let means: Vec<f64> = of_graph.iter().map(|(_, _, outcome)| outcome.mean()).collect();
        let mut splits: BTreeMap<String, (f64, usize)> = BTreeMap::new();
        for (split, _, outcome) in &of_graph {
            let (sum, count) = splits.entry((*split).clone()).or_default();
            *sum += outcome.mean();
            *count += 1;
        }
        let draw = |draw: usize| {
            let of_draw = of_graph.iter().filter_map(|(_, _, outcome)| outcome.top1.get(draw));
            of_draw.sum::<f64>() / of_graph.len().max(1) as f64
        };
        let draws: Vec<f64> = (0..config.draws).map(draw).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|draw| (draw - mean).powi(2)).sum::<f64>();
        let pairs: Vec<(f64, f64)> =
            outcomes.iter().map(|(_, _, rows)| (rows[row].mean(), rows[0].mean())).collect();
        let overlaps: Vec<f64> = of_graph.iter().filter_map(|(_, _, it)| it.overlap).collect();
        let average = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
        let seconds: Vec<f64> = of_graph.iter().map(|(_, _, it)| it.seconds).collect();
        Self {
            name: config.rows[row].name.clone(),
            top1: Interval::of_mean(&means, seed),
            splits: splits
                .into_iter()
                .map(|(split, (sum, count))| (split, sum / count as f64))
                .collect(),
            draw_spread: (variance / (draws.len().max(2) - 1) as f64).sqrt(),
            comparison: (row > 0).then(|| Comparison::of(&pairs, seed)),
            overlap: (!overlaps.is_empty()).then(|| average(&overlaps)),
            seconds: average(&seconds),
            graphs: of_graph
                .iter()
                .map(|(_, name, outcome)| ((*name).to_owned(), outcome.mean()))
                .collect(),
        }
    }
}
