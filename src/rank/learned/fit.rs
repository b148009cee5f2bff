//! Fitting the weights of a ranker.

use nalgebra::{DMatrix, DVector};

use super::{
    pairs::Pairs,
    pool::standings,
    ranker::{COUNTING, Ingredient, Ranker, counting},
};
use crate::rank::labels::LabelledPool;

/// Newton steps; few are needed, since the loss is convex and smooth.
const STEPS: usize = 30;

/// Which scores are weighed, and how firmly their weights are held where they start.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// Names of scores.
    pub ingredients: Vec<String>,
    /// Of the squared distance of a weight from its start.
    pub penalty: f64,
    /// What parameters and multiply-accumulates weigh at the start; other scores start at zero.
    pub start: f64,
    /// See [`Ranker::lean`].
    pub lean: f64,
}

impl Default for Fit {
    /// What the ranking that comes with the crate was fitted with.
    fn default() -> Self {
        let ranker = Ranker::bundled();
        let ingredients = ranker.ingredients.iter().map(|it| it.score.clone()).collect();
        Self { ingredients, penalty: 0.05, start: 0.5, lean: ranker.lean }
    }
}

/// The standings of one pool.
#[derive(Clone, Debug)]
pub(super) struct Standings {
    /// By ingredient, then by graph.
    pub columns: Vec<Vec<f64>>,
    pub counting: Vec<f64>,
    pub accuracies: Vec<f64>,
}

impl Standings {
    pub fn of(pool: &LabelledPool, ingredients: &[String]) -> Self {
        let column = |name: &str| -> Vec<Option<f64>> {
            pool.records.iter().map(|record| record.scores.get(name).copied()).collect()
        };
        Self {
            columns: ingredients.iter().map(|name| standings(&column(name))).collect(),
            counting: counting(&column),
            accuracies: pool.accuracies.clone(),
        }
    }
}

/// Fits weights to pools, which all count the same: pairwise logistic regression with an L2 penalty.
pub fn fit(pools: &[LabelledPool], setting: &Fit) -> Ranker {
    let pools: Vec<Standings> =
        pools.iter().map(|pool| Standings::of(pool, &setting.ingredients)).collect();
    setting.ranker(&pools.iter().collect::<Vec<_>>())
}

impl Fit {
    pub(super) fn ranker(&self, pools: &[&Standings]) -> Ranker {
        let mut pairs = Pairs::default();
        for pool in pools {
            pairs.add(&pool.columns, &pool.accuracies);
        }
        let weights = self.weights(&pairs, pools.len().max(1) as f64);
        let ingredients = self.ingredients.iter().zip(weights);
        let rounded = |weight: f64| (1e4 * weight).round() / 1e4;
        Ranker {
            about: String::new(),
            lean: self.lean,
            ingredients: ingredients
                .map(|(score, weight)| Ingredient { score: score.clone(), weight: rounded(weight) })
                .collect(),
        }
    }

    fn weights(&self, pairs: &Pairs, pools: f64) -> Vec<f64> {
        let count = self.ingredients.len();
        let starts = self.ingredients.iter().map(|name| match COUNTING.contains(&name.as_str()) {
            true => self.start,
            false => 0.0,
        });
        let start = DVector::from_iterator(count, starts);
        let mut weights = start.clone();
        for _ in 0..STEPS {
            let mut gradient = 2.0 * self.penalty * (&weights - &start);
            let mut curvature = DMatrix::identity(count, count) * (2.0 * self.penalty);
            for (row, share) in pairs.differences.iter().zip(&pairs.weights) {
                let row = DVector::from_column_slice(row);
                let wrong = 1.0 / (1.0 + row.dot(&weights).exp());
                let share = share / pools;
                gradient.axpy(-share * wrong, &row, 1.0);
                curvature.ger(share * wrong * (1.0 - wrong), &row, &row, 1.0);
            }
            let Some(factor) = curvature.cholesky() else { break };
            let step = factor.solve(&gradient);
            weights -= &step;
            if step.amax() < 1e-8 {
                break;
            }
        }
        weights.iter().copied().collect()
    }
}
