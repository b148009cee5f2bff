//! How well a ranker orders spaces that it was not fitted to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::rank::{labels::LabelledPool, metrics::kendall};

use super::fit::{Fit, Standings};

/// Name of the fitted ranker among its rivals.
pub const LEARNED: &str = "learned";

/// Kendall's τ-b on spaces that were left out of the fit, one at a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeftOut {
    /// By space: distinct graphs, and τ of the ranker (`learned`) and of its rivals.
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

/// Leaves each pool out in turn; pools of fewer than two graphs are passed over.
pub fn left_out(pools: &[LabelledPool], setting: &Fit, rivals: &[Rival]) -> LeftOut {
    let pools: Vec<&LabelledPool> = pools.iter().filter(|pool| pool.labels.len() > 1).collect();
    let own = taus(&pools, setting);
    let mut spaces = BTreeMap::new();
    for (pool, tau) in pools.iter().zip(&own) {
        let mut row = BTreeMap::from([(LEARNED.to_owned(), *tau)]);
        for rival in rivals {
            row.insert(rival.name.clone(), kendall(&(rival.scores)(pool), &pool.labels));
        }
        spaces.insert(pool.space.clone(), (pool.labels.len(), row));
    }
    let names = rivals.iter().map(|rival| rival.name.as_str()).chain([LEARNED]);
    let mean_of = |name: &str| mean(spaces.values().map(|(_, row)| row[name]));
    let means = names.map(|name| (name.to_owned(), mean_of(name))).collect();
    let mut without = BTreeMap::new();
    for name in &setting.ingredients {
        let mut less = setting.clone();
        less.ingredients.retain(|it| it != name);
        without.insert(name.clone(), mean(taus(&pools, &less).into_iter()));
    }
    let upright = Fit { lean: 0.0, ..setting.clone() };
    without.insert("lean on counting".to_owned(), mean(taus(&pools, &upright).into_iter()));
    LeftOut { spaces, means, without }
}

/// τ on each pool of the ranker that is fitted to the others.
fn taus(pools: &[&LabelledPool], setting: &Fit) -> Vec<f64> {
    let standings: Vec<Standings> =
        pools.iter().map(|pool| Standings::of(pool, &setting.ingredients)).collect();
    let tau = |left_out: usize| {
        let others = standings.iter().enumerate().filter(|(index, _)| *index != left_out);
        let others: Vec<&Standings> = others.map(|(_, pool)| pool).collect();
        let own = &standings[left_out];
        let scores = setting.ranker(&others).join(&own.columns, &own.counting);
        kendall(&scores, &own.labels)
    };
    (0..pools.len()).map(tau).collect()
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}
