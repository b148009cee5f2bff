//! Label-free scores against trained accuracies.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::{
    observer::Observer,
    rank::{Aggregate, Judge, Record, metrics::Agreement, spread},
};

use super::{BenchmarkError, TrainedNetwork, TrainedNetworks, held_out::read};

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
    /// By network.
    pub records: Vec<Record>,
    /// The joined score, by network.
    pub joined: Vec<f64>,
    /// By score: every one alone, the number of parameters, and all joined (`auto` or `joined`).
    pub results: BTreeMap<String, Agreement>,
    /// Mean seconds of scoring one network.
    pub seconds_per_graph: f64,
}

impl ScoreTest<'_> {
    /// Scores all networks, or stops at the first error.
    pub fn run(&self, observer: &dyn Observer) -> Result<ScoreTestReport, BenchmarkError> {
        let records = self.records(observer)?;
        let accuracies: Vec<f64> = self.trained.networks.iter().map(|it| it.accuracy).collect();
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
        let parameters: Vec<f64> = records.iter().map(|record| record.parameters as f64).collect();
        compare("parameters", &parameters, &parameters, &accuracies);
        let ranked = self.by.rank(column);
        let listed: Vec<f64> = ranked.iter().map(|it| -(it.listed as f64)).collect();
        let joined: Vec<f64> = ranked.into_iter().map(|it| it.score.unwrap_or(f64::MIN)).collect();
        let label = match self.by {
            Aggregate::InOrder(_) => "auto",
            Aggregate::LogRanks(_) => "joined",
        };
        compare(label, &joined, &listed, &accuracies);
        let seconds: f64 = records.iter().map(|record| record.seconds).sum();
        let seconds_per_graph = seconds / records.len().max(1) as f64;
        Ok(ScoreTestReport { records, joined, results, seconds_per_graph })
    }

    fn records(&self, observer: &dyn Observer) -> Result<Vec<Record>, BenchmarkError> {
        observer.begin(self.trained.networks.len() as u64, 0);
        let score = |network: &TrainedNetwork| {
            let resolved = read(&network.name, network.onnx())?;
            let record = self.judge.judge(&resolved.architecture, &resolved.registry)?;
            observer.advance(1);
            Ok(record)
        };
        let records = spread(self.trained.networks.iter(), self.jobs, score);
        observer.end();
        records.into_iter().collect()
    }
}
