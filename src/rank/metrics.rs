//! How well a score ranked architectures whose trained accuracy is known. All take the scores first
//! (larger means predicted better) and the accuracies, in percent, of the same architectures.

use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::bootstrap;

/// Resamples of an interval.
const RESAMPLES: usize = 300;

/// One score against trained accuracies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// Architectures that have the score.
    pub graphs: usize,
    /// Kendall's τ-b.
    pub kendall: f64,
    /// 95 % bootstrap interval of it.
    pub interval: [f64; 2],
    /// Spearman's ρ.
    pub spearman: f64,
    /// τ-b inside the tenth of the pool that is best by accuracy.
    pub top_kendall: f64,
    /// ρ there.
    pub top_spearman: f64,
    /// Normalised discounted cumulative gain; see [`ndcg`].
    pub ndcg: f64,
    /// Points of accuracy between the best of the pool and the best-scored one.
    pub regret_1: f64,
    /// Points between the best of the pool and the best among the ten best-scored.
    pub regret_10: f64,
}

impl Agreement {
    /// Compares. Without two different values on either side, correlations are zero. Who takes the first
    /// of a list gets those of the largest values in `list`: the scores, or what orders equal ones.
    pub fn of(scores: &[f64], list: &[f64], accuracies: &[f64], random: &mut impl Rng) -> Self {
        let top = top_tenth(accuracies);
        let pick = |values: &[f64], of: &[usize]| -> Vec<f64> {
            of.iter().map(|&at| values[at]).collect()
        };
        let (best_scores, best) = (pick(scores, &top), pick(accuracies, &top));
        let interval = bootstrap::interval(scores.len(), RESAMPLES, random, |drawn| {
            kendall(&pick(scores, drawn), &pick(accuracies, drawn))
        });
        Self {
            graphs: scores.len(),
            kendall: kendall(scores, accuracies),
            interval,
            spearman: spearman(scores, accuracies),
            top_kendall: kendall(&best_scores, &best),
            top_spearman: spearman(&best_scores, &best),
            ndcg: ndcg(list, accuracies),
            regret_1: regret(list, accuracies, 1),
            regret_10: regret(list, accuracies, 10),
        }
    }
}

/// Ranks from 1, the smallest; equal values share their mean rank.
pub fn ranks(values: &[f64]) -> Vec<f64> {
    let order = ascending(values);
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        let equal = |at: &usize| values[*at] == values[order[start]];
        let end = start + order[start..].iter().take_while(|at| equal(at)).count().max(1);
        for &at in &order[start..end] {
            ranks[at] = (start + 1 + end) as f64 / 2.0;
        }
        start = end;
    }
    ranks
}

/// Kendall's τ-b by Knight's merge sort.
///
/// # Panics
/// If the slices differ in length; here and below.
pub fn kendall(x: &[f64], y: &[f64]) -> f64 {
    assert_eq!(x.len(), y.len());
    let (x, y) = (ranks(x), ranks(y));
    let mut order: Vec<usize> = (0..x.len()).collect();
    order.sort_by(|&a, &b| x[a].total_cmp(&x[b]).then(y[a].total_cmp(&y[b])));
    let pairs = |count: usize| (count * count.saturating_sub(1) / 2) as f64;
    let runs = |same: &dyn Fn(usize, usize) -> bool| -> f64 {
        order.chunk_by(|&a, &b| same(a, b)).map(|run| pairs(run.len())).sum()
    };
    let tied_x = runs(&|a, b| x[a] == x[b]);
    let tied_both = runs(&|a, b| x[a] == x[b] && y[a] == y[b]);
    let mut by_y: Vec<f64> = order.iter().map(|&at| y[at]).collect();
    let exchanges = sort_counting(&mut by_y) as f64;
    let tied_y: f64 = by_y.chunk_by(|a, b| a == b).map(|run| pairs(run.len())).sum();
    let all = pairs(x.len());
    let scale = ((all - tied_x) * (all - tied_y)).sqrt();
    let difference = all - tied_x - tied_y + tied_both - 2.0 * exchanges;
    if scale > 0.0 { difference / scale } else { 0.0 }
}

/// Spearman's ρ.
pub fn spearman(x: &[f64], y: &[f64]) -> f64 {
    assert_eq!(x.len(), y.len());
    let (x, y) = (ranks(x), ranks(y));
    let mean = (x.len() + 1) as f64 / 2.0;
    let product = |a: &[f64], b: &[f64]| -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - mean) * (b - mean)).sum()
    };
    let scale = (product(&x, &x) * product(&y, &y)).sqrt();
    if scale > 0.0 { product(&x, &y) / scale } else { 0.0 }
}

/// Σⱼ (2^aⱼ − 1) / log₂(1 + j) over all architectures from the best-scored, relative to the best
/// order, where a is the accuracy in percent (as VKDNW, Tybl and Neumann 2025): a point of accuracy
/// halves the gain.
pub fn ndcg(scores: &[f64], accuracies: &[f64]) -> f64 {
    assert_eq!(scores.len(), accuracies.len());
    let best = accuracies.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let gain = |order: Vec<usize>| -> f64 {
        let places = order.into_iter().rev().enumerate();
        // Divided by 2^best, which cancels.
        places
            .map(|(place, at)| {
                let gain = (accuracies[at] - best).exp2() - (-best).exp2();
                gain / ((place + 2) as f64).log2()
            })
            .sum()
    };
    let ideal = gain(ascending(accuracies));
    if ideal > 0.0 { gain(ascending(scores)) / ideal } else { 0.0 }
}

/// Points of accuracy between the best of the pool and the best of the `picks` best-scored. Among
/// equal scores the worse are taken first.
pub fn regret(scores: &[f64], accuracies: &[f64], picks: usize) -> f64 {
    assert_eq!(scores.len(), accuracies.len());
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| {
        scores[b].total_cmp(&scores[a]).then(accuracies[a].total_cmp(&accuracies[b]))
    });
    let best = accuracies.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let picked = order.iter().take(picks).map(|&at| accuracies[at]);
    let found = picked.fold(f64::NEG_INFINITY, f64::max);
    if found.is_finite() { best - found } else { 0.0 }
}

/// Places of the best tenth, rounded up.
fn top_tenth(accuracies: &[f64]) -> Vec<usize> {
    let mut order = ascending(accuracies);
    order.reverse();
    order.truncate(accuracies.len().div_ceil(10));
    order
}

fn ascending(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    order
}

/// Sorts and counts the exchanges of neighbours that it takes.
fn sort_counting(values: &mut [f64]) -> u64 {
    if values.len() < 2 {
        return 0;
    }
    let middle = values.len() / 2;
    let (left, right) = values.split_at_mut(middle);
    let mut exchanges = sort_counting(left) + sort_counting(right);
    let mut merged = Vec::with_capacity(values.len());
    let (mut i, mut j) = (0, middle);
    while i < middle || j < values.len() {
        if j == values.len() || (i < middle && values[i] <= values[j]) {
            merged.push(values[i]);
            i += 1;
        } else {
            merged.push(values[j]);
            exchanges += (middle - i) as u64;
            j += 1;
        }
    }
    values.copy_from_slice(&merged);
    exchanges
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const X: [f64; 10] = [3.1, 2.0, 2.0, 5.5, 4.0, 1.0, 5.5, 2.0, 7.2, 6.1];
    const Y: [f64; 10] = [90.1, 91.0, 89.5, 93.2, 91.0, 88.0, 92.5, 90.1, 92.5, 93.9];

    /// `scipy.stats.kendalltau`, `spearmanr` and `rankdata`, SciPy 1.16.
    #[test]
    fn correlations_are_those_of_scipy() {
        assert_eq!(ranks(&X), [5.0, 3.0, 3.0, 7.5, 6.0, 1.0, 7.5, 3.0, 10.0, 9.0]);
        assert_relative_eq!(kendall(&X, &Y), 0.771_140_308_339_007_8, max_relative = 1e-12);
        assert_relative_eq!(spearman(&X, &Y), 0.878_898_941_156_167_3, max_relative = 1e-12);
        let (x, y): (Vec<f64>, Vec<f64>) = (0..500i64)
            .map(|i| ((i * 7919) % 263, (i * i * 31 + i * 7) % 101 + (i * 7919) % 263 / 4))
            .map(|(x, y)| (x as f64, y as f64))
            .unzip();
        assert_relative_eq!(kendall(&x, &y), 0.392_552_301_229_054_9, max_relative = 1e-12);
        assert_relative_eq!(spearman(&x, &y), 0.559_085_548_842_805_3, max_relative = 1e-12);
    }

    #[test]
    fn gains_and_regrets_equal_those_by_hand() {
        let (scores, accuracies) = ([1.0, 3.0, 4.0, 2.0], [90.0, 92.0, 91.0, 93.0]);
        assert_relative_eq!(
            ndcg(&scores, &accuracies),
            0.749_046_283_282_062_8,
            max_relative = 1e-9
        );
        assert_relative_eq!(ndcg(&accuracies, &accuracies), 1.0);
        assert_eq!(regret(&scores, &accuracies, 1), 2.0);
        assert_eq!(regret(&scores, &accuracies, 3), 0.0);
        // Equal scores promise nothing.
        assert_eq!(regret(&[0.0; 4], &accuracies, 1), 3.0);
    }

    #[test]
    fn degenerate_pools_have_no_correlation() {
        let random = &mut ChaCha8Rng::seed_from_u64(0);
        assert_eq!(Agreement::of(&[], &[], &[], random).kendall, 0.0);
        assert_eq!(kendall(&[1.0; 5], &Y[..5]), 0.0);
        assert_eq!(spearman(&[1.0], &[2.0]), 0.0);
        let all = Agreement::of(&X, &X, &Y, random);
        assert!(all.interval[0] <= all.kendall && all.kendall <= all.interval[1]);
        assert_eq!((all.graphs, all.regret_1, all.top_kendall), (10, 93.9 - 92.5, 0.0));
    }
}
