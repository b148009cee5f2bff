//! Fitting the weights of a ranking.

use nalgebra::{DMatrix, DVector};

use super::{
    pairs::Pairs,
    pool::Scale,
    ranker::{COUNTING, Ingredient, Ranker, Weighing, counting},
};
use crate::rank::labels::LabelledPool;

/// Newton steps; few are needed, since the loss is convex and smooth.
const STEPS: usize = 30;
/// Rounds over the coordinates of a Newton step.
const SWEEPS: usize = 500;

/// Which scores are weighed, and how firmly their weights are held where they start.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// How scores enter.
    pub scale: Scale,
    /// Names of scores.
    pub ingredients: Vec<String>,
    /// Of the squared distance of a weight from its start.
    pub penalty: f64,
    /// What parameters and multiply-accumulates weigh at the start; other scores start at zero.
    pub start: f64,
    /// See [`Weighing::lean`].
    pub lean: f64,
}

impl Default for Fit {
    /// What the ranking of one skeleton that comes with the crate was fitted with.
    fn default() -> Self {
        let Weighing { scale, lean, ingredients } = &Ranker::bundled().skeleton;
        let ingredients = ingredients.iter().map(|it| it.score.clone()).collect();
        Self { scale: *scale, ingredients, penalty: 0.01, start: 0.5, lean: *lean }
    }
}

/// The places of one pool.
#[derive(Clone, Debug)]
pub(super) struct Standings {
    /// By ingredient, then by graph.
    pub columns: Vec<Vec<f64>>,
    pub counting: Vec<f64>,
    pub labels: Vec<f64>,
}

impl Standings {
    pub fn of(pool: &LabelledPool, setting: &Fit) -> Self {
        let column = |name: &str| pool.column(name);
        let places = |name: &String| setting.scale.places(&column(name));
        Self {
            columns: setting.ingredients.iter().map(places).collect(),
            counting: counting(&column),
            labels: pool.labels.clone(),
        }
    }
}

/// Fits weights to pools, which all count the same: pairwise logistic regression with an L2 penalty. No weight is
/// negative: more of a score is never worse.
pub fn fit(pools: &[LabelledPool], setting: &Fit) -> Weighing {
    let pools: Vec<Standings> = pools.iter().map(|pool| Standings::of(pool, setting)).collect();
    setting.weighing(&pools.iter().collect::<Vec<_>>())
}

impl Fit {
    /// Counting by logarithms, for pools of many sizes: nothing that was added to it carried over to spaces that were
    /// left out.
    pub fn of_sizes() -> Self {
        Self {
            scale: Scale::Logarithm,
            ingredients: COUNTING.map(str::to_owned).to_vec(),
            penalty: 0.1,
            start: 0.5,
            lean: 0.0,
        }
    }

    pub(super) fn weighing(&self, pools: &[&Standings]) -> Weighing {
        let mut pairs = Pairs::default();
        for pool in pools {
            pairs.add(&pool.columns, &pool.labels);
        }
        let weights = self.weights(&pairs, pools.len().max(1) as f64);
        let ingredients = self.ingredients.iter().zip(weights);
        let rounded = |weight: f64| (1e4 * weight).round() / 1e4;
        Weighing {
            scale: self.scale,
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
            let step = step(&curvature, &gradient, &weights);
            weights += &step;
            if step.amax() < 1e-8 {
                break;
            }
        }
        weights.iter().copied().collect()
    }
}

/// The step to the least value of a quadratic function of which no weight becomes negative, by one coordinate
/// after the other.
fn step(curvature: &DMatrix<f64>, gradient: &DVector<f64>, weights: &DVector<f64>) -> DVector<f64> {
    let mut step = DVector::zeros(weights.len());
    for _ in 0..SWEEPS {
        let mut moved: f64 = 0.0;
        for index in 0..weights.len() {
            let slope = gradient[index] + curvature.column(index).dot(&step);
            let wanted = step[index] - slope / curvature[(index, index)];
            let next = wanted.max(-weights[index]);
            moved = moved.max((next - step[index]).abs());
            step[index] = next;
        }
        if moved < 1e-10 {
            break;
        }
    }
    step
}

#[cfg(test)]
mod tests {
    use super::{super::pool::standings, *};
    use crate::rank::metrics::kendall;

    fn standings_of(columns: Vec<Vec<f64>>, labels: Vec<f64>) -> Standings {
        let counting = columns[0].clone();
        Standings { columns, counting, labels }
    }

    #[test]
    fn what_decides_is_weighed_and_what_misleads_is_not() {
        let column = |step: usize| -> Vec<f64> {
            let values: Vec<_> = (0..40).map(|it| Some((it * step % 41) as f64)).collect();
            standings(&values)
        };
        let (flops, depth) = (column(7), column(13));
        let labels: Vec<f64> = flops.iter().zip(&depth).map(|(a, b)| 2.0 * a - b).collect();
        let pool = standings_of(vec![flops.clone(), depth], labels.clone());
        let setting = Fit {
            scale: Scale::Standing,
            ingredients: vec!["flops".to_owned(), "depth".to_owned()],
            penalty: 1e-3,
            start: 0.5,
            lean: 0.0,
        };
        let ranker = setting.weighing(&[&pool, &pool]);
        assert!(ranker.ingredients[0].weight > 1.0, "{ranker:?}");
        assert_eq!(ranker.ingredients[1].weight, 0.0);
        let scores = ranker.join(&pool.columns, &pool.counting);
        assert_eq!(kendall(&scores, &labels), kendall(&flops, &labels));
    }

    #[test]
    fn a_heavy_penalty_keeps_counting() {
        let columns = vec![vec![-1.0, 0.0, 1.0], vec![1.0, 0.0, -1.0]];
        let pool = standings_of(columns, vec![3.0, 2.0, 1.0]);
        let setting = Fit {
            scale: Scale::Standing,
            ingredients: vec!["parameters".to_owned(), "nwot".to_owned()],
            penalty: 1e6,
            start: 0.5,
            lean: 0.0,
        };
        let weights: Vec<f64> =
            setting.weighing(&[&pool]).ingredients.iter().map(|it| it.weight).collect();
        assert_eq!(weights, [0.5, 0.0]);
    }
}
