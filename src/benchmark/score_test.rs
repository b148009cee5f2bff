//! Label-free scores against trained accuracies.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::{
    observer::Observer,
    rank::{Aggregate, Judge, Record, metrics::Agreement, spread},
};

use super::{BenchmarkError, TrainedNetwork, TrainedNetworks};

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
    /// Of bootstraps.
    pub seed: u64,
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
        for (network, record) in self.trained.networks.iter().zip(self.records(observer)) {
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
        let counts: [(&str, fn(&Record) -> u64); 2] =
            [("parameters", |record| record.parameters), ("flops", |record| record.flops)];
        for (name, count) in counts {
            let counted: Vec<f64> = records.iter().map(|record| count(record) as f64).collect();
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
        let seconds: f64 = records.iter().map(|record| record.seconds).sum();
        let seconds_per_graph = seconds / records.len().max(1) as f64;
        ScoreTestReport { networks, records, joined, results, seconds_per_graph, refused }
    }

    fn records(&self, observer: &dyn Observer) -> Vec<Result<Record, BenchmarkError>> {
        observer.begin(self.trained.networks.len() as u64, 0);
        let score = |network: &TrainedNetwork| {
            let resolved = network.network()?;
            let record = self.judge.judge(&resolved.architecture, &resolved.registry)?;
            observer.advance(1);
            Ok(record)
        };
        let records = spread(self.trained.networks.iter(), self.jobs, score);
        observer.end();
        records
    }
}
