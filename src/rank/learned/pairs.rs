//! Which of two graphs of one pool is the better.

use crate::rank::place::deviation;

/// From which on a difference counts in full, in standard deviations of the labels of a pool.
const CLEAR: f64 = 0.25;

/// Pairs of graphs: differences of their standings, the better graph first.
#[derive(Clone, Debug, Default)]
pub(super) struct Pairs {
    /// One row of as many values as there are ingredients for each pair.
    pub differences: Vec<Vec<f64>>,
    /// How much each counts; those of one pool sum to one.
    pub weights: Vec<f64>,
}

impl Pairs {
    /// Adds the pairs of a pool: `columns` by ingredient, then by graph.
    pub fn add(&mut self, columns: &[Vec<f64>], labels: &[f64]) {
        let clear = CLEAR * deviation(labels.iter().copied());
        let mut weights = Vec::new();
        for (i, left) in labels.iter().enumerate() {
            for (j, right) in labels.iter().enumerate().skip(i + 1) {
                if left == right {
                    continue;
                }
                let [better, worse] = if left > right { [i, j] } else { [j, i] };
                let row = columns.iter().map(|column| column[better] - column[worse]).collect();
                self.differences.push(row);
                weights.push(((left - right).abs() / clear).min(1.0));
            }
        }
        let total: f64 = weights.iter().sum();
        self.weights.extend(weights.into_iter().map(|weight| weight / total));
    }
}
