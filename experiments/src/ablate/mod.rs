//! Ways to fill held-out graphs, side by side: predictors, samplers, and what is made of several samples.

mod config;
mod draws;
mod progress;
mod result;
mod table;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Instant,
};

use burn::tensor::Device;
use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use serde_json::{Value, json};
use weightsmith::{
    benchmark::{
        HeldOut, LeakGuard, Subject, held_out,
        report::{Plot, Point},
    },
    data::{Dataset, Split},
    fill::TOOL,
    memory,
    onnx::atomic,
    predictor::{Predictor, bundled},
    rank::metrics::spearman,
    spaces::Space,
};

use crate::{Failure, retrieval::Retrieval};

use config::{AblationConfig, Combine};
use draws::{Ablation, Outcome};
use progress::Progress;
use result::{Report, RowResult};

/// Version of what is written.
const SCHEMA: u32 = 1;

#[derive(Debug, Args)]
pub struct Ablate {
    /// The rows of the table, a TOML file: see experiments/ablation/rows.toml
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
    /// Images to evaluate on: `val` while anything is still being chosen
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
    /// Replace a result of another setting
    #[arg(long)]
    force: bool,
    /// Seed of everything random
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
}

/// A split of a data set.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Part {
    Test,
    Val,
}

impl From<Part> for Split {
    fn from(part: Part) -> Self {
        match part {
            Part::Test => Self::Test,
            Part::Val => Self::Val,
        }
    }
}

impl Ablate {
    pub fn run(&self) -> Result<(), Failure> {
        let started = Instant::now();
        let config = self.config()?;
        let subjects = subjects(&config)?;
        let evaluated: Vec<&Subject> = subjects.values().collect();
        let reference = evaluated[0].reference();
        let input = evaluated[0].input();
        if evaluated.iter().any(|subject| subject.input() != input) {
            return Err("the rows' predictors read different images".into());
        }
        let mut guard = LeakGuard::new(&evaluated, &self.data)?;
        let test = Dataset::open(&self.data, self.split.into())?;
        let test = guard.images(test.with_channels(input.channels())?)?;
        let graphs = self.graphs(&config, reference, &mut guard)?;
        let predictors: BTreeMap<String, String> =
            subjects.iter().map(|(name, it)| (name.clone(), it.hash(&[]))).collect();
        let setting =
            (&config.rows, config.images, config.draws, &predictors, &test.hash, self.seed);
        self.check_result(&config, &test.hash)?;
        let mut progress = Progress::open(self.out.as_deref(), self.resume, &setting)?;
        let steers = config.rows.iter().any(|row| row.steering.is_some());
        let images = |split| {
            Dataset::open(&self.data, split).and_then(|data| data.with_channels(input.channels()))
        };
        let support = steers.then(|| images(Split::Train)).transpose()?;
        let agrees = config.rows.iter().any(|row| row.combine == Combine::Agreement);
        let unlabelled = agrees.then(|| images(Split::Val)).transpose()?;
        let ablation = Ablation {
            config: &config,
            subjects: &subjects,
            test: &test,
            unlabelled: unlabelled.as_ref(),
            support: support.as_ref(),
            seed: self.seed,
        };
        let bar = match self.quiet || self.json {
            true => ProgressBar::hidden(),
            false => ProgressBar::new(graphs.len() as u64),
        };
        let mut outcomes: Vec<(&str, &str, Vec<Outcome>)> = Vec::with_capacity(graphs.len());
        for (split, graph) in &graphs {
            let of_graph = match progress.of(&graph.name) {
                Some(known) => known.to_vec(),
                None => progress.add(&graph.name, ablation.rows(graph)?)?.to_vec(),
            };
            outcomes.push((split, &graph.name, of_graph));
            bar.inc(1);
        }
        bar.finish_and_clear();
        let rows: Vec<RowResult> = (0..config.rows.len())
            .map(|row| RowResult::of(row, &config, &outcomes, self.seed))
            .collect();
        let asked: (Vec<f64>, Vec<f64>) = config
            .rows
            .iter()
            .zip(&rows)
            .filter_map(|(row, result)| Some((f64::from(row.quality?), result.top1.mean)))
            .unzip();
        if let Some(path) = &self.plot {
            let svg = picture(&asked).svg();
            atomic::write(path, |out| out.write_all(svg.as_bytes())).map_err(at(path))?;
        }
        let report = Report {
            schema: SCHEMA,
            tool: TOOL.to_owned(),
            command: std::env::args().collect::<Vec<_>>().join(" "),
            seed: self.seed,
            predictors,
            data_hash: test.hash.clone(),
            rows,
            quality_control: (asked.0.len() > 2).then(|| spearman(&asked.0, &asked.1)),
            seconds: started.elapsed().as_secs_f64(),
            peak_memory_bytes: memory::peak(),
            config: config.clone(),
        };
        if let Some(path) = &self.out {
            atomic::write_json(path, &report).map_err(at(path))?;
        }
        progress.end()?;
        match self.json {
            true => println!("{}", serde_json::to_string(&report)?),
            false => println!("{}", table::table(&report)),
        }
        Ok(())
    }

    /// The file, with what the command line says otherwise.
    fn config(&self) -> Result<AblationConfig, Failure> {
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
        Ok(config)
    }

    /// The graphs, each with the name of its split.
    fn graphs(
        &self,
        config: &AblationConfig,
        reference: &Predictor,
        guard: &mut LeakGuard,
    ) -> Result<Vec<(String, HeldOut)>, Failure> {
        let space = Space::load(&reference.config.training.space)?;
        let last = self.skip.saturating_add(config.graphs);
        let mut graphs = Vec::new();
        // The guard refuses some; more take their places.
        for set in held_out(&space, &config.splits, last.saturating_add(last / 4 + 4))? {
            let unseen = guard.graphs(&set.space, set.graphs)?.into_iter();
            let wanted = unseen.take(last as usize).skip(self.skip as usize);
            graphs.extend(wanted.map(|graph| (set.split.clone(), graph)));
        }
        match graphs.is_empty() {
            true => Err("no graph is left: pass over fewer with --skip".into()),
            false => Ok(graphs),
        }
    }

    /// A result that is there is replaced by one of the same setting only.
    fn check_result(&self, config: &AblationConfig, data_hash: &str) -> Result<(), Failure> {
        let Some(path) = self.out.as_deref().filter(|path| path.exists() && !self.force) else {
            return Ok(());
        };
        let known: Value =
            serde_json::from_slice(&std::fs::read(path).map_err(at(path))?).unwrap_or_default();
        let own = json!({ "config": config, "data_hash": data_hash, "seed": self.seed });
        let same = ["config", "data_hash", "seed"].iter().all(|key| known[key] == own[key]);
        match same {
            true => Ok(()),
            false => Err(at(path)("holds something else; add --force to replace it").into()),
        }
    }
}

/// The predictors and baselines of all rows, by name.
fn subjects(config: &AblationConfig) -> Result<BTreeMap<String, Subject>, Failure> {
    // What is retrieved is for the images of the first row's predictor.
    let like = &config.rows[0].predictor;
    let mut subjects: BTreeMap<String, Subject> = BTreeMap::new();
    for row in &config.rows {
        let name = &row.predictor;
        if subjects.contains_key(name) {
            continue;
        }
        let subject = match Retrieval::named(name)? {
            Some(retrieval) => {
                Subject::baseline(Box::new(retrieval), bundled(like, &Device::flex())?)
            }
            None => Subject::open(name, Some(like))?,
        };
        subjects.insert(name.clone(), subject);
    }
    Ok(subjects)
}

/// Names the file that something is wrong with.
fn at<E: std::fmt::Display>(path: &Path) -> impl FnOnce(E) -> String {
    let path = path.display().to_string();
    move |why| format!("{path}: {why}")
}

/// Accuracies by the quality that was asked for.
fn picture((asked, reached): &(Vec<f64>, Vec<f64>)) -> Plot {
    let point = |(&x, &top1): (&f64, &f64)| {
        let y = 100.0 * top1;
        Point { x, y, front: true, label: format!("quality {x:.2}: {y:.2} %") }
    };
    Plot {
        title: "Quality asked for and reached on held-out graphs",
        x: "quality asked for, over the range of the zoo",
        y: "top-1, %",
        points: asked.iter().zip(reached).map(point).collect(),
    }
}
