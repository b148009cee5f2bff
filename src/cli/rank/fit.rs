//! `weightsmith rank fit`

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::json;

use crate::{
    benchmark::TrainedNetworks,
    cli::{
        Common, Exit, Failure,
        output::{self, Replace},
        print, print_json,
        progress::watch,
    },
    rank::{
        Aggregate, CRITERIA, Judge, ScoreSelection,
        labels::{LabelledPool, labelled_pools, labels_of, ranking_spaces},
        learned::{
            Fit as Setting, LEARNED, LeftOut, Ranker, Rival, SKELETON, fit, left_out, skeletons,
        },
    },
    spaces::Space,
};

use super::{Judging, score_cells};

/// Networks of a part of a public table, as many as most of our own spaces have.
const PART: usize = 11;
/// Parts of a table.
const PARTS: usize = 13;

/// Scores that the ranking is held against.
const RIVALS: [&str; 5] = ["parameters", "flops", "spatial-layers", "nwot", "synflow"];

#[derive(Debug, Args)]
pub(super) struct Fit {
    /// What `rank label` wrote; several files make pools of their own
    #[arg(long, value_name = "FILE", required = true)]
    labels: Vec<PathBuf>,
    /// Spaces that the graphs were drawn from; by default those of architectures/ranking.toml
    #[arg(long, value_name = "FILE.toml")]
    spaces: Vec<PathBuf>,
    /// Also learn from a public table of one skeleton, as `bench rank` reads it: 143 of its networks, in pools of 11
    #[arg(long, value_name = "FILE")]
    table: Vec<PathBuf>,
    #[command(flatten)]
    judging: Judging,
    /// By how many times its fall over the last two epochs the training loss of a label is extended
    #[arg(long, default_value_t = 4.0)]
    extension: f64,
    /// How firmly weights are held where they start: counting at --start, other scores at zero
    #[arg(long, default_value_t = Setting::default().penalty)]
    penalty: f64,
    /// What parameters and multiply-accumulates weigh at the start
    #[arg(long, default_value_t = Setting::default().start)]
    start: f64,
    /// What counting adds where the scores contradict each other altogether
    #[arg(long, default_value_t = Setting::default().lean)]
    lean: f64,
    /// Write the fitted ranking
    #[arg(long, value_name = "FILE.toml")]
    out: Option<PathBuf>,
    /// Write how it orders spaces that are left out of the fit
    #[arg(long, value_name = "FILE.json")]
    results: Option<PathBuf>,
    /// Write every graph's label and scores
    #[arg(long, value_name = "FILE.csv")]
    csv: Option<PathBuf>,
    #[command(flatten)]
    replace: Replace,
}

impl Fit {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        self.replace.check(self.results.as_deref())?;
        let spaces = self.spaces()?;
        let (setting, sizes) = (self.setting()?, Setting::of_sizes());
        let criteria = CRITERIA.map(|it| it.score);
        let beside = RIVALS.into_iter().chain(criteria).chain([SKELETON]).map(str::to_owned);
        let names: Vec<String> = setting.ingredients.iter().cloned().chain(beside).collect();
        let judge = self.judging.judge(&ScoreSelection::parse(&names)?, common, None)?;
        let (mut pools, mut labelled) = (Vec::new(), Vec::new());
        for path in &self.labels {
            let (setting, labels) = labels_of(path)?;
            labelled.push(setting);
            let (jobs, watch) = (self.judging.jobs(), watch("graphs", common));
            let extension = self.extension;
            pools.extend(labelled_pools(&labels, extension, &spaces, &judge, jobs, &*watch)?);
        }
        let graphs: usize = pools.iter().map(|pool| pool.records.len()).sum();
        let names: BTreeSet<&str> = pools.iter().map(|pool| pool.space.as_str()).collect();
        let mut about = format!("{graphs} graphs of {} spaces", names.len());
        let mut alike: Vec<LabelledPool> = pools.iter().flat_map(skeletons).collect();
        for path in &self.table {
            let (name, parts) = self.table_pools(path, &judge, common)?;
            let networks: usize = parts.iter().map(|part| part.labels.len()).sum();
            about += &format!(", {networks} networks of {name}");
            alike.extend(parts);
        }
        let Setting { penalty, start, .. } = setting;
        about += &format!("; extension {}, penalty {penalty}, start {start}", self.extension);
        let ranker = Ranker { about, skeleton: fit(&alike, &setting), sizes: fit(&pools, &sizes) };
        let table = left_out(&alike, &setting, &rivals());
        let of_sizes = left_out(&pools, &sizes, &rivals());
        if let Some(path) = &self.csv {
            output::write(path, &csv(&pools))?;
        }
        if let Some(path) = &self.out {
            self.replace.write(path, ranker.to_toml().as_bytes())?;
        }
        let report = json!({
            "schema": 1,
            "command": output::command_line(),
            "labels": labelled,
            "graphs": graphs,
            "ranker": ranker,
            "left_out": { "skeleton": table, "sizes": of_sizes },
        });
        if let Some(path) = &self.results {
            output::save(path, &report)?;
        }
        match common.json {
            true => print_json(&report)?,
            false => print(&format!("{}\n\n{}", text(&table), text(&of_sizes)))?,
        }
        Ok(Exit::Success)
    }

    fn setting(&self) -> Result<Setting, Failure> {
        let selection = self.judging.selection()?;
        let ingredients = match selection.aggregate() {
            Aggregate::Learned(ranker) => {
                ranker.skeleton.ingredients.iter().map(|it| it.score.clone()).collect()
            }
            _ => selection.names().to_vec(),
        };
        let Self { penalty, start, lean, .. } = *self;
        Ok(Setting { ingredients, penalty, start, lean, ..Setting::default() })
    }

    fn spaces(&self) -> Result<Vec<Space>, Failure> {
        let mut spaces = if self.spaces.is_empty() { ranking_spaces(None)? } else { Vec::new() };
        for path in &self.spaces {
            spaces.extend(ranking_spaces(Some(path))?);
        }
        Ok(spaces)
    }

    /// The name of a table, and some of its networks in pools of the size that our own have.
    fn table_pools(
        &self,
        path: &Path,
        judge: &Judge,
        common: &Common,
    ) -> Result<(String, Vec<LabelledPool>), Failure> {
        let mut trained = TrainedNetworks::open(path, None, false, None)?;
        trained.draw(PARTS * PART, common.seed);
        let records = trained.records(judge, self.judging.jobs(), &*watch("networks", common));
        let pool = LabelledPool {
            space: trained.table.clone(),
            seeds: (0..records.len() as u64).collect(),
            labels: trained.networks.iter().map(|network| network.accuracy).collect(),
            records: records.into_iter().collect::<Result<_, _>>()?,
        };
        let graphs: Vec<usize> = (0..pool.records.len()).collect();
        let parts = graphs.chunks(PART).map(|graphs| pool.part(graphs)).collect();
        Ok((trained.table, parts))
    }
}

/// Single scores, and the criteria of earlier versions.
fn rivals() -> Vec<Rival> {
    let alone = |name: &str| {
        let name = name.to_owned();
        (name.clone(), Aggregate::LogRanks(vec![(name, 1.0)]))
    };
    let criteria = ("criteria".to_owned(), Aggregate::InOrder(CRITERIA.to_vec()));
    let rival = |(name, aggregate): (String, Aggregate)| Rival {
        name,
        scores: Box::new(move |pool| {
            let ranked = aggregate.rank(|name| pool.column(name));
            ranked.iter().map(|it| it.score.unwrap_or(f64::MIN)).collect()
        }),
    };
    RIVALS.into_iter().map(alone).chain([criteria]).map(rival).collect()
}

/// Kendall's τ-b by space, and as ingredients are taken away.
fn text(table: &LeftOut) -> String {
    let columns: Vec<&str> = [LEARNED].into_iter().chain(RIVALS).chain(["criteria"]).collect();
    let mut text = format!("{:<32} {:>6}", "space, left out of the fit", "graphs");
    columns.iter().for_each(|name| text += &format!(" {name:>14}"));
    let line = |taus: &BTreeMap<String, f64>| -> String {
        let cell = |name: &&str| format!(" {:>14.3}", taus.get(*name).copied().unwrap_or(0.0));
        columns.iter().map(cell).collect()
    };
    for (space, (graphs, taus)) in &table.spaces {
        text += &format!("\n{space:<32} {graphs:>6}{}", line(taus));
    }
    text += &format!("\n{:<39}{}", "mean", line(&table.means));
    for (name, tau) in &table.without {
        text += &format!("\n{:<39} {tau:>14.3}", format!("without {name}"));
    }
    text
}

/// A line for each graph; a score that it has not is empty.
fn csv(pools: &[LabelledPool]) -> String {
    let records = pools.iter().flat_map(|pool| &pool.records);
    let names: BTreeSet<&String> = records.flat_map(|it| it.scores.keys()).collect();
    let mut text = "space,seed,label".to_owned();
    names.iter().for_each(|name| text += &format!(",{name}"));
    for pool in pools {
        for (index, record) in pool.records.iter().enumerate() {
            text += &format!("\n{},{},{}", pool.space, pool.seeds[index], pool.labels[index]);
            text += &score_cells(&record.scores, names.iter().copied());
        }
    }
    text + "\n"
}
