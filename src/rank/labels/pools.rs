//! Labelled graphs with what scores say of them, space by space.

use std::collections::BTreeMap;

use crate::{
    observer::Observer,
    rank::{Judge, Record, spread},
    spaces::Space,
};

use super::{Label, LabelError, spaces::network};

/// Distinct graphs of one space.
#[derive(Clone, Debug)]
pub struct LabelledPool {
    /// Name of the space.
    pub space: String,
    /// The first of the seeds of each graph.
    pub seeds: Vec<u64>,
    /// Their labels, see [`Label::forecast`]; the mean of graphs that are one.
    pub labels: Vec<f64>,
    /// What is known of each graph without training it.
    pub records: Vec<Record>,
}

impl LabelledPool {
    /// A score of every graph.
    pub fn column(&self, name: &str) -> Vec<Option<f64>> {
        self.records.iter().map(|record| record.scores.get(name).copied()).collect()
    }

    /// Some of its graphs, by number.
    pub fn part(&self, graphs: &[usize]) -> Self {
        Self {
            space: self.space.clone(),
            seeds: graphs.iter().map(|&graph| self.seeds[graph]).collect(),
            labels: graphs.iter().map(|&graph| self.labels[graph]).collect(),
            records: graphs.iter().map(|&graph| self.records[graph].clone()).collect(),
        }
    }
}

/// Scores the graphs of all labels that have a curve, extended as [`Label::forecast`] says; labels of other
/// spaces are left out.
pub fn labelled_pools(
    labels: &[Label],
    extension: f64,
    spaces: &[Space],
    judge: &Judge,
    jobs: usize,
    observer: &dyn Observer,
) -> Result<Vec<LabelledPool>, LabelError> {
    let of = |label: &Label| spaces.iter().find(|space| space.name == label.space);
    let known: Vec<(&Space, &Label, f64)> =
        labels.iter().filter_map(|it| Some((of(it)?, it, it.forecast(extension)?))).collect();
    observer.begin(known.len() as u64, 0);
    let records = spread(known.iter(), jobs, |(space, label, _)| {
        let record = record(space, label.seed, judge);
        observer.advance(1);
        record
    });
    observer.end();
    let mut pools: BTreeMap<&str, LabelledPool> = BTreeMap::new();
    let mut copies: BTreeMap<(&str, String), (usize, f64)> = BTreeMap::new();
    for ((space, label, forecast), record) in known.into_iter().zip(records) {
        let record = record?;
        let pool = pools.entry(&space.name).or_insert_with(|| LabelledPool {
            space: space.name.clone(),
            seeds: Vec::new(),
            labels: Vec::new(),
            records: Vec::new(),
        });
        let key = (space.name.as_str(), record.structure.clone());
        let (place, count) = copies.entry(key).or_insert((pool.seeds.len(), 0.0));
        *count += 1.0;
        match pool.labels.get_mut(*place) {
            Some(mean) => *mean += (forecast - *mean) / *count,
            None => {
                pool.seeds.push(label.seed);
                pool.labels.push(forecast);
                pool.records.push(record);
            }
        }
    }
    Ok(pools.into_values().collect())
}

fn record(space: &Space, seed: u64, judge: &Judge) -> Result<Record, LabelError> {
    let network = network(space, seed)?;
    Ok(judge.judge(&network.architecture, &network.registry)?)
}
