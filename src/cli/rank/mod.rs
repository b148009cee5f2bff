//! `weightsmith rank`

mod accuracies;
mod fit;
mod judging;
mod label;
mod listing;
mod table;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};

use crate::{
    benchmark::report::{Plot, Point},
    fill::{Network, stem},
    onnx::safetensors as st,
    rank::{Judge, Probe, RankedGraph, Ranking, Record, Subject, evidence, ranking, spread},
};

use super::{
    Common, Exit, Failure,
    output::{self, Replace, failed},
    print, print_json,
    progress::watch,
};

pub(super) use judging::Judging;
pub(super) use table::score_cells;

/// Order graphs, best first, without training them.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Rank {
    #[command(subcommand)]
    command: Option<RankCommand>,
    /// ONNX files, folders of them, or patterns such as 'nets/*.onnx'; `-` reads JSON lines from
    /// standard input, each a path or an object with a field `file`
    #[arg(required = true, value_name = "GRAPHS")]
    graphs: Vec<String>,
    #[command(flatten)]
    judging: Judging,
    /// Trained accuracies of some of the graphs, which refine `auto`: comma-separated values with the columns
    /// `file` (a path, or its last part) and `accuracy`, at least 8
    #[arg(long, value_name = "FILE.csv")]
    labels: Option<PathBuf>,
    /// Show the first K only
    #[arg(long, value_name = "K")]
    top: Option<usize>,
    /// Print comma-separated values
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Draw scores by FLOPs, with those that no cheaper graph beats
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Write what scores at random weights looked at, one safetensors file a graph: weights by
    /// initializer, `images` and `labels`
    #[arg(long, value_name = "DIR")]
    evidence: Option<PathBuf>,
    #[command(flatten)]
    replace: Replace,
}

#[derive(Debug, Subcommand)]
enum RankCommand {
    /// Train graphs of many generated spaces for a few epochs: labels to learn a ranking from
    Label(label::Label),
    /// Fit the coefficients of `auto` to labels
    Fit(Box<fit::Fit>),
}

impl Rank {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        match &self.command {
            Some(RankCommand::Label(label)) => label.run(common),
            Some(RankCommand::Fit(fit)) => fit.run(common),
            None => self.rank(common),
        }
    }

    fn rank(&self, common: &Common) -> Result<Exit, Failure> {
        let files = listing::files(&self.graphs)?;
        let selection = self.judging.selection()?;
        let judge = self.judging.judge(&selection, common)?;
        let observer = watch("graphs", common);
        observer.begin(files.len() as u64, 0);
        let judged = spread(files.iter(), self.judging.jobs(), |file| {
            let record = self.record(file, &judge);
            observer.advance(1);
            (file.clone(), record.map_err(|error| super::one_line(error.as_ref())))
        });
        observer.end();
        let mut refused: BTreeMap<String, String> = BTreeMap::new();
        let mut records: Vec<(String, Record)> = Vec::new();
        for (file, record) in judged {
            match record {
                Ok(record) => records.push((file, record)),
                Err(why) => drop(refused.insert(file, why)),
            }
        }
        let by = selection.aggregate();
        let Ranking { rows, agreement } = match &self.labels {
            None => ranking(records, by),
            Some(path) => accuracies::refined(path, records, by)?,
        };
        if let Some(path) = &self.plot {
            output::write(path, &picture(&rows))?;
        }
        let shown = &rows[..self.top.unwrap_or(rows.len()).min(rows.len())];
        if common.json {
            print_json(&serde_json::json!({
                "schema": 1,
                "seed": common.seed,
                "by": by,
                "agreement": agreement,
                "predictor": self.judging.predictor,
                "graphs": rows.len(),
                "ranking": shown,
                "refused": refused,
            }))?;
        } else if self.csv {
            print(table::csv(shown).trim_end())?;
        } else {
            print(table::text(shown, agreement).trim_end())?;
        }
        for (file, why) in &refused {
            tracing::warn!("{file}: {}", why.trim_start_matches(&format!("{file}: ")));
        }
        Ok(match (rows.is_empty(), refused.is_empty()) {
            (true, _) => return Err("no graph could be ranked, for the reasons above".into()),
            (false, true) => Exit::Success,
            (false, false) => Exit::Partial,
        })
    }

    /// The scores of a file.
    fn record(&self, file: &str, judge: &Judge) -> Result<Record, Failure> {
        let network = Network::open(file)?;
        if let Some(why) = network.unsupported().first() {
            return Err(why.clone().into());
        }
        if let Some(folder) = &self.evidence {
            self.write_evidence(folder, &network, &judge.probe)?;
        }
        Ok(judge.judge(&network.architecture, &network.registry)?)
    }

    /// Writes `<folder>/<stem of the graph>.safetensors`, unless something else is there.
    fn write_evidence(
        &self,
        folder: &Path,
        network: &Network,
        probe: &Probe,
    ) -> Result<(), Failure> {
        let subject = Subject::new(&network.architecture, &network.registry, probe);
        let mut bytes = Vec::new();
        st::write(&mut bytes, &evidence(&subject)?)?;
        fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
        let file = folder.join(format!("{}.safetensors", stem(Path::new(network.model.name()))));
        self.replace.write(&file, &bytes)
    }
}

/// So many threads, or as many as there are cores.
fn cores(jobs: Option<usize>) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, Into::into);
    jobs.unwrap_or_else(cores).max(1)
}

fn picture(rows: &[RankedGraph]) -> String {
    let mut cheap: Vec<(&RankedGraph, f64)> =
        rows.iter().filter_map(|row| Some((row, row.score?))).collect();
    cheap.sort_by_key(|(row, _)| (row.flops, row.rank));
    let mut best = usize::MAX;
    let points = cheap.into_iter().map(|(row, score)| {
        let front = row.rank < best;
        best = best.min(row.rank);
        let label = format!("{}: rank {}", row.file, row.rank);
        Point { x: (row.flops.max(1) as f64).log10(), y: score, front, label }
    });
    let points = points.collect();
    let x = "FLOPs (multiply-accumulates), log₁₀";
    Plot { title: "Score by cost", x, y: "joined log-rank", points }.svg()
}
