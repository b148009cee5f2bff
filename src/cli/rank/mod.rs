//! `weightsmith rank`

mod accuracies;
mod by_file;
mod fit;
mod judging;
mod label;
mod limits;
mod listing;
mod shard;
mod table;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};

use crate::{
    benchmark::report::Front,
    fill::{Network, stem},
    onnx::safetensors as st,
    rank::{Judge, Limits, Live, Probe, Ranking, Record, Subject, evidence, ranking, spread},
};

use super::{
    Common, Exit, Failure,
    output::{self, Replace, failed},
    print, print_json,
    progress::watch,
};

use limits::LimitArgs;
use shard::Shard;

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
    /// Write a page with that plot, and drawings of the graphs that no cheaper graph beats
    #[arg(long, value_name = "FILE.html")]
    html: Option<PathBuf>,
    #[command(flatten)]
    limits: LimitArgs,
    /// Score the I-th of N equal parts of the graphs only, for runs that share the work and a --cache; a run
    /// without --shard then ranks all of them from it
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Write what scores at random weights looked at, one safetensors file a graph: weights by
    /// initializer, `images` and `labels`
    #[arg(long, value_name = "DIR")]
    evidence: Option<PathBuf>,
    #[command(flatten)]
    replace: Replace,
}

/// What becomes of a file.
enum Judged {
    /// It has scores.
    Within(Box<Record>),
    /// It exceeds a limit.
    LeftOut(String),
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
        let costs = self.limits.costs(&files)?;
        let files = match self.shard {
            Some(shard) => shard.of(files),
            None => files,
        };
        let selection = self.judging.selection()?;
        let selection = if self.labels.is_some() { selection.counting() } else { selection };
        let part = self.shard.map(|shard| shard.part());
        let judge = self.judging.judge(&selection, common, part.as_deref())?;
        let limits = self.limits.limits();
        let observer = watch("graphs", common);
        observer.begin(files.len() as u64, 0);
        let judged = spread(files.iter(), self.judging.jobs(), |file| {
            let judged = match costs.exceeded(file) {
                Some(why) => Ok(Judged::LeftOut(why)),
                None => self.judged(file, &judge, &limits),
            };
            observer.advance(1);
            (file.clone(), judged.map_err(|error| super::one_line(error.as_ref())))
        });
        observer.end();
        let mut refused: BTreeMap<String, String> = BTreeMap::new();
        let mut left_out: BTreeMap<String, String> = BTreeMap::new();
        let mut records: Vec<(String, Record)> = Vec::new();
        for (file, judged) in judged {
            match judged {
                Ok(Judged::Within(record)) => records.push((file, *record)),
                Ok(Judged::LeftOut(why)) => drop(left_out.insert(file, why)),
                Err(why) => drop(refused.insert(file, why)),
            }
        }
        let by = selection.aggregate();
        let Ranking { mut rows, agreement } = match &self.labels {
            None => ranking(records, by),
            Some(path) => accuracies::refined(path, records, by)?,
        };
        for row in &mut rows {
            row.cost = costs.of(&row.file);
        }
        let front = Front::new(&rows);
        if let Some(path) = &self.plot {
            output::write(path, &front.svg())?;
        }
        if let Some(path) = &self.html {
            self.replace.write(path, front.to_html().as_bytes())?;
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
                "left_out": left_out,
                "refused": refused,
            }))?;
        } else if self.csv {
            print(table::csv(shown).trim_end())?;
        } else {
            print(table::text(shown, agreement).trim_end())?;
            if !left_out.is_empty() {
                print(&format!("{} graphs beyond the limits are left out.", left_out.len()))?;
            }
        }
        for (file, why) in &refused {
            tracing::warn!("{file}: {}", why.trim_start_matches(&format!("{file}: ")));
        }
        Ok(match (rows.is_empty(), refused.is_empty()) {
            (true, _) if !left_out.is_empty() && refused.is_empty() => {
                return Err("no graph keeps to the limits; raise them".into());
            }
            (true, _) => return Err("no graph could be ranked, for the reasons above".into()),
            (false, true) => Exit::Success,
            (false, false) => Exit::Partial,
        })
    }

    /// The scores of a file that keeps to the limits.
    fn judged(&self, file: &str, judge: &Judge, limits: &Limits) -> Result<Judged, Failure> {
        let network = Network::open(file)?;
        if let Some(why) = network.unsupported().first() {
            return Err(why.clone().into());
        }
        let Network { architecture, registry, .. } = &network;
        let live = Live::of(architecture, registry);
        if let Some(why) = limits.exceeded(architecture, &live) {
            return Ok(Judged::LeftOut(why));
        }
        if let Some(folder) = &self.evidence {
            self.write_evidence(folder, &network, &judge.probe)?;
        }
        let record = judge.judge_live(architecture, registry, &live)?;
        Ok(Judged::Within(Box::new(record)))
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
