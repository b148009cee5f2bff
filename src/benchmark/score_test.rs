//! Label-free scores against trained accuracies.

use std::collections::BTreeMap;

use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::{
    observer::Observer,
    rank::{
        Aggregate, Judge, OperatorPaths, Record,
        learned::{refine, standings, standings_by_counts},
        metrics::{Agreement, kendall},
    },
};

use super::TrainedNetworks;

/// Scores of networks that somebody trained.
pub struct ScoreTest<'a> {
    /// The networks.
    pub trained: &'a TrainedNetworks,
    /// The scores, and what they probe networks with.
    pub judge: &'a Judge,
    /// How scores are joined.
    pub by: &'a Aggregate,
    /// Networks that are scored at a time.
    pub jobs: usize,
    /// Numbers of trained accuracies that refine `auto`; each is tried with several draws of networks.
    pub labels: &'a [usize],
    /// Of bootstraps and draws.
    pub seed: u64,
}

/// Draws of networks whose accuracies are given.
const DRAWS: u64 = 20;

/// Kendall's τ-b on the networks whose accuracies were not given.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FewLabels {
    /// `auto`, refined.
    pub refined: f64,
    /// A Gaussian process of the number of parameters.
    pub by_parameters: f64,
    /// `auto` without a label.
    pub alone: f64,
}

/// How well scores order the networks.
#[derive(Clone, Debug)]
pub struct ScoreTestReport {
    /// Names and accuracies of the networks that have scores.
    pub networks: Vec<(String, f64)>,
    /// By network.
    pub records: Vec<Record>,
    /// The joined score, by network.
    pub joined: Vec<f64>,
    /// By score: every one alone, the numbers of parameters and of multiply-accumulates, and all joined (`auto`, `criteria` or `joined`).
    pub results: BTreeMap<String, Agreement>,
    /// By number of labels, τ-b on the other networks, mean over draws.
    pub few: BTreeMap<usize, FewLabels>,
    /// Mean seconds of scoring one network.
    pub seconds_per_graph: f64,
    /// Why other networks have none.
    pub refused: BTreeMap<String, String>,
}

impl ScoreTest<'_> {
    /// Scores all networks; those that cannot be read or run are left out.
    pub fn run(&self, observer: &dyn Observer) -> ScoreTestReport {
        let (mut networks, mut records) = (Vec::new(), Vec::new());
        let mut refused = BTreeMap::new();
        let scored = self.trained.records(self.judge, self.jobs, observer);
        for (network, record) in self.trained.networks.iter().zip(scored) {
            match record {
                Ok(record) => {
                    networks.push((network.name.clone(), network.accuracy));
                    records.push(record);
                }
                Err(why) => drop(refused.insert(network.name.clone(), why.to_string())),
            }
        }
        let accuracies: Vec<f64> = networks.iter().map(|(_, accuracy)| *accuracy).collect();
        let column = |name: &str| -> Vec<Option<f64>> {
            records.iter().map(|record| record.scores.get(name).copied()).collect()
        };
        let mut results: BTreeMap<String, Agreement> = BTreeMap::new();
        let mut compare = |name: &str, scores: &[f64], list: &[f64], accuracies: &[f64]| {
            let random = &mut ChaCha8Rng::seed_from_u64(self.seed);
            results.insert(name.to_owned(), Agreement::of(scores, list, accuracies, random));
        };
        for score in &self.judge.scores {
            let known = column(score.name()).into_iter().zip(&accuracies);
            let (scores, accuracies): (Vec<f64>, Vec<f64>) =
                known.filter_map(|(score, accuracy)| Some((score?, *accuracy))).unzip();
            compare(score.name(), &scores, &scores, &accuracies);
        }
        let counts = |record: &Record| [record.parameters, record.flops].map(|it| it as f64);
        let counted: Vec<[f64; 2]> = records.iter().map(counts).collect();
        for (index, name) in ["parameters", "flops"].into_iter().enumerate() {
            let counted: Vec<f64> = counted.iter().map(|counts| counts[index]).collect();
            compare(name, &counted, &counted, &accuracies);
        }
        let ranked = self.by.rank(column);
        let listed: Vec<f64> = ranked.iter().map(|it| -(it.listed as f64)).collect();
        let joined: Vec<f64> = ranked.into_iter().map(|it| it.score.unwrap_or(f64::MIN)).collect();
        let label = match self.by {
            Aggregate::Learned(_) => "auto",
            Aggregate::InOrder(_) => "criteria",
            Aggregate::LogRanks(_) => "joined",
        };
        compare(label, &joined, &listed, &accuracies);
        let paths: Vec<_> = records.iter().map(|record| &record.operator_paths).collect();
        let few = self.few(&column, &paths, &accuracies);
        let seconds: f64 = records.iter().map(|record| record.seconds).sum();
        let seconds_per_graph = seconds / records.len().max(1) as f64;
        ScoreTestReport { networks, records, joined, results, few, seconds_per_graph, refused }
    }

    /// Refines `auto` by trained accuracies of some networks and compares it on the others.
    fn few(
        &self,
        column: &impl Fn(&str) -> Vec<Option<f64>>,
        paths: &[&OperatorPaths],
        accuracies: &[f64],
    ) -> BTreeMap<usize, FewLabels> {
        let Aggregate::Learned(ranker) = self.by else { return BTreeMap::new() };
        let pool = ranker.rank(column);
        let scores = pool.scores();
        let counts = standings_by_counts(column);
        let counted = standings(&column("parameters"));
        let known: Vec<usize> =
            (0..scores.len()).filter(|&graph| scores[graph].is_finite()).collect();
        let mut few = BTreeMap::new();
        for &count in self.labels.iter().filter(|count| **count + 1 < known.len()) {
            let (mut refined, mut by_parameters, mut alone) = (0.0, 0.0, 0.0);
            for draw in 0..DRAWS {
                let mut random = ChaCha8Rng::seed_from_u64(self.seed);
                random.set_stream(draw + 1);
                let mut drawn = known.clone();
                drawn.shuffle(&mut random);
                let (own, others) = drawn.split_at(count);
                let labels: Vec<(usize, f64)> =
                    own.iter().map(|&graph| (graph, accuracies[graph])).collect();
                let of = |values: &[f64]| -> Vec<f64> {
                    others.iter().map(|&graph| values[graph]).collect()
                };
                let tau = |values: &[f64]| kendall(&of(values), &of(accuracies)) / DRAWS as f64;
                let by = |scores: &[f64], counts: &[Vec<f64>], paths: &[&OperatorPaths]| {
                    let refined = refine(scores, counts, paths, &labels);
                    refined.map_or_else(|| tau(scores), |refined| tau(&refined.mean))
                };
                refined += by(&scores, &counts, paths);
                by_parameters += by(&counted, std::slice::from_ref(&counted), &[]);
                alone += tau(&scores);
            }
            few.insert(count, FewLabels { refined, by_parameters, alone });
        }
        few
    }
}
