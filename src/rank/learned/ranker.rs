//! The learned ranking.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::{
    super::place::{Ranked, deviation, places},
    pool::{SKELETON, Scale, of_one_skeleton, standings},
};

/// Scores that count what a network costs.
pub(super) const COUNTING: [&str; 2] = ["parameters", "flops"];

/// One score, and what it weighs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ingredient {
    /// Name of the score.
    pub score: String,
    /// Of its place within the pool.
    pub weight: f64,
}

/// A learned ranking: what tells cells of one skeleton apart is not what tells sizes apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ranker {
    /// How it was fitted.
    pub about: String,
    /// Of pools of one skeleton, see [`of_one_skeleton`].
    pub skeleton: Weighing,
    /// Of all others.
    pub sizes: Weighing,
}

/// Weighed scores, and how much counting adds where they contradict each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weighing {
    /// How scores enter.
    pub scale: Scale,
    /// What counting weighs where the ingredients contradict each other altogether.
    pub lean: f64,
    /// The scores.
    pub ingredients: Vec<Ingredient>,
}

/// A pool in its order.
#[derive(Clone, Debug, PartialEq)]
pub struct RankedPool {
    /// The place of every graph.
    pub graphs: Vec<Ranked>,
    /// How far the ingredients agree: 1 where all order the pool alike, near 0 where they cancel each other.
    pub agreement: f64,
}

impl RankedPool {
    /// The score of every graph; negative infinity without any.
    pub fn scores(&self) -> Vec<f64> {
        self.graphs.iter().map(|it| it.score.unwrap_or(f64::NEG_INFINITY)).collect()
    }
}

impl Ranker {
    /// The one that comes with the crate, which is `auto`.
    pub fn bundled() -> &'static Self {
        static BUNDLED: LazyLock<Ranker> = LazyLock::new(|| {
            Ranker::parse(include_str!("../../../predictors/ranker.toml"))
                .unwrap_or_else(|error| panic!("predictors/ranker.toml: {error}"))
        });
        &BUNDLED
    }

    /// From the text of its file.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// The text of its file.
    pub fn to_toml(&self) -> String {
        // Strings and finite numbers, which TOML can write.
        toml::to_string(self).unwrap_or_default()
    }

    /// Names of all scores that it asks for.
    pub fn scores(&self) -> impl Iterator<Item = &str> {
        let both = self.skeleton.ingredients.iter().chain(&self.sizes.ingredients);
        both.map(|it| it.score.as_str()).chain(COUNTING).chain([SKELETON])
    }

    /// Places of all graphs; `column` gives a score of every graph. Graphs without any score come last.
    pub fn rank(&self, column: impl Fn(&str) -> Vec<Option<f64>>) -> RankedPool {
        let weighing =
            if of_one_skeleton(&column(SKELETON)) { &self.skeleton } else { &self.sizes };
        weighing.rank(column)
    }
}

impl Weighing {
    fn rank(&self, column: impl Fn(&str) -> Vec<Option<f64>>) -> RankedPool {
        let raw: Vec<Vec<Option<f64>>> =
            self.ingredients.iter().map(|it| column(&it.score)).collect();
        let counting = counting(&column);
        let graphs = counting.len();
        let scored: Vec<bool> =
            (0..graphs).map(|graph| raw.iter().any(|column| column[graph].is_some())).collect();
        let columns: Vec<Vec<f64>> = raw.iter().map(|it| self.scale.places(it)).collect();
        let parts = self.weighed(&columns);
        let join = |without: Option<usize>| -> (Vec<f64>, f64) {
            let parts = parts.iter().enumerate().filter(|(index, _)| Some(*index) != without);
            let parts: Vec<&[f64]> = parts.map(|(_, part)| part.as_slice()).collect();
            let (mut sum, agreement) = self.joined(&parts, &counting);
            sum.iter_mut().zip(&scored).filter(|(_, scored)| !**scored).for_each(|(sum, _)| {
                *sum = f64::NEG_INFINITY;
            });
            (sum, agreement)
        };
        let (scores, agreement) = join(None);
        let ranks = places(&scores);
        let others: Vec<Vec<usize>> =
            (0..parts.len()).map(|left_out| places(&join(Some(left_out)).0)).collect();
        let ranked = |graph: usize| Ranked {
            score: Some(scores[graph]).filter(|score| score.is_finite()),
            rank: ranks[graph],
            listed: ranks[graph],
            spread: deviation(others.iter().map(|places| places[graph] as f64)),
        };
        RankedPool { graphs: (0..graphs).map(ranked).collect(), agreement }
    }

    /// The score of every graph of a pool whose places are known, by ingredient and by graph.
    pub(super) fn join(&self, columns: &[Vec<f64>], counting: &[f64]) -> Vec<f64> {
        let parts = self.weighed(columns);
        let parts: Vec<&[f64]> = parts.iter().map(Vec::as_slice).collect();
        self.joined(&parts, counting).0
    }

    /// The sum of weighed places and of what counting adds, and how far they agree.
    fn joined(&self, parts: &[&[f64]], counting: &[f64]) -> (Vec<f64>, f64) {
        let agreement = agreement(parts, counting.len());
        let lean = self.lean * (1.0 - agreement);
        let sum = total(parts, counting.len());
        (sum.iter().zip(counting).map(|(sum, count)| sum + lean * count).collect(), agreement)
    }

    fn weighed(&self, columns: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let weigh = |(column, it): (&Vec<f64>, &Ingredient)| {
            column.iter().map(|at| it.weight * at).collect()
        };
        columns.iter().zip(&self.ingredients).map(weigh).collect()
    }
}

/// Mean standing by what a network costs.
pub(super) fn counting(column: &impl Fn(&str) -> Vec<Option<f64>>) -> Vec<f64> {
    let columns = COUNTING.map(|name| standings(&column(name)));
    let [first, second] = &columns;
    first.iter().zip(second).map(|(a, b)| (a + b) / 2.0).collect()
}

fn total(parts: &[&[f64]], graphs: usize) -> Vec<f64> {
    (0..graphs).map(|graph| parts.iter().map(|part| part[graph]).sum()).collect()
}

/// Deviation of the sum against the sum of deviations: 1 where all parts order a pool alike, near 0 where
/// they cancel each other. 1 of nothing.
pub(super) fn agreement(parts: &[&[f64]], graphs: usize) -> f64 {
    let length = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>().sqrt();
    let most: f64 = parts.iter().map(|part| length(part)).sum();
    if most > 0.0 { length(&total(parts, graphs)) / most } else { 1.0 }
}
