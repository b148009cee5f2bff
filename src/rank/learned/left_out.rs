//! How well a ranker orders spaces that it was not fitted to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::rank::{labels::LabelledPool, metrics::kendall};

use super::{
    fit::{Fit, Standings},
    ranker::Weighing,
};

/// Name of the fitted ranker among its rivals.
pub const LEARNED: &str = "learned";

/// Kendall's τ-b on spaces that were left out of the fit, one at a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeftOut {
    /// By space: graphs, and τ of the ranker (`learned`) and of its rivals.
    pub spaces: BTreeMap<String, (usize, BTreeMap<String, f64>)>,
    /// Means over spaces.
    pub means: BTreeMap<String, f64>,
    /// Mean of the ranker as each ingredient, or the lean on counting, is taken away.
    pub without: BTreeMap<String, f64>,
}

/// Gives every graph of a pool a score.
pub type Scoring = dyn Fn(&LabelledPool) -> Vec<f64>;

/// Another way to rank, which nothing is fitted to.
pub struct Rival {
    /// What it is called.
    pub name: String,
    /// Scores of the graphs of a pool; larger is better.
    pub scores: Box<Scoring>,
}

/// Leaves each space out in turn, with all of its pools; pools of fewer than two graphs are passed over. What a space
/// reaches is the mean over its pools, by the number of their graphs.
pub fn left_out(pools: &[LabelledPool], setting: &Fit, rivals: &[Rival]) -> LeftOut {
    let pools: Vec<&LabelledPool> = pools.iter().filter(|pool| pool.labels.len() > 1).collect();
    let own = taus(&pools, setting);
    let mut spaces = BTreeMap::new();
    let by_space = |taus: &[f64]| -> BTreeMap<String, (usize, f64)> {
        let mut sums: BTreeMap<String, (usize, f64)> = BTreeMap::new();
        for (pool, tau) in pools.iter().zip(taus) {
            let (graphs, sum) = sums.entry(pool.space.clone()).or_default();
            *graphs += pool.labels.len();
            *sum += tau * pool.labels.len() as f64;
        }
        sums.into_iter()
            .map(|(space, (graphs, sum))| (space, (graphs, sum / graphs as f64)))
            .collect()
    };
    for (space, (graphs, tau)) in by_space(&own) {
        spaces.insert(space, (graphs, BTreeMap::from([(LEARNED.to_owned(), tau)])));
    }
    for rival in rivals {
        let tau = |pool: &&LabelledPool| kendall(&(rival.scores)(pool), &pool.labels);
        let taus: Vec<f64> = pools.iter().map(tau).collect();
        for (space, (_, tau)) in by_space(&taus) {
            if let Some((_, row)) = spaces.get_mut(&space) {
                row.insert(rival.name.clone(), tau);
            }
        }
    }
    let mean_of = |name: &str| mean(spaces.values().map(|(_, row)| row[name]));
    let names = rivals.iter().map(|rival| rival.name.as_str()).chain([LEARNED]);
    let means = names.map(|name| (name.to_owned(), mean_of(name))).collect();
    let mean_by_space = |taus: &[f64]| mean(by_space(taus).into_values().map(|(_, tau)| tau));
    let mut without = BTreeMap::new();
    for name in &setting.ingredients {
        let mut less = setting.clone();
        less.ingredients.retain(|it| it != name);
        without.insert(name.clone(), mean_by_space(&taus(&pools, &less)));
    }
    let upright = Fit { lean: 0.0, ..setting.clone() };
    without.insert("lean on counting".to_owned(), mean_by_space(&taus(&pools, &upright)));
    LeftOut { spaces, means, without }
}

/// τ on each pool of the ranking that is fitted to the other spaces.
fn taus(pools: &[&LabelledPool], setting: &Fit) -> Vec<f64> {
    let standings: Vec<Standings> = pools.iter().map(|pool| Standings::of(pool, setting)).collect();
    let mut fitted: BTreeMap<&str, Weighing> = BTreeMap::new();
    for left_out in pools {
        let others = pools.iter().zip(&standings).filter(|(pool, _)| pool.space != left_out.space);
        let others: Vec<&Standings> = others.map(|(_, standings)| standings).collect();
        fitted.entry(&left_out.space).or_insert_with(|| setting.weighing(&others));
    }
    let tau = |(pool, own): (&&LabelledPool, &Standings)| {
        let scores = fitted[pool.space.as_str()].join(&own.columns, &own.counting);
        kendall(&scores, &own.labels)
    };
    pools.iter().zip(&standings).map(tau).collect()
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}
