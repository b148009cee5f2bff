//! What can be said about a mean over graphs: bootstrap intervals and paired tests.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::bootstrap;

/// Resamples of an interval and of a test that is not exact.
const RESAMPLES: usize = 10_000;
/// 97.5th percentile of the standard normal distribution.
const NORMAL: f64 = 1.96;
/// Up to this many differences all sign patterns are tried.
const EXACT: usize = 13;

/// A mean with a 95 % percentile interval of the bootstrap (Efron 1979) over what was averaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The mean.
    pub mean: f64,
    /// 2.5th percentile of the means of resamples.
    pub low: f64,
    /// 97.5th percentile.
    pub high: f64,
}

/// Wilson's 95 % interval of a share of so many cases (Wilson 1927); `None` of none.
pub fn wilson(share: f64, cases: usize) -> Option<[f64; 2]> {
    let (n, square) = (cases as f64, NORMAL * NORMAL);
    let middle = share + square / (2.0 * n);
    let reach = NORMAL * (share * (1.0 - share) / n + square / (4.0 * n * n)).sqrt();
    let scale = 1.0 + square / n;
    (cases > 0).then(|| [((middle - reach) / scale).max(0.0), ((middle + reach) / scale).min(1.0)])
}

impl Interval {
    /// Of the mean of some values; all zero of none.
    pub fn of_mean(values: &[f64], seed: u64) -> Self {
        let count = values.len();
        if count == 0 {
            return Self::default();
        }
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mean =
            |drawn: &[usize]| drawn.iter().map(|&index| values[index]).sum::<f64>() / count as f64;
        let [low, high] = bootstrap::interval(count, RESAMPLES, &mut random, mean);
        Self { mean: values.iter().sum::<f64>() / count as f64, low, high }
    }
}

/// Two methods on the same graphs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Graphs that both were judged on.
    pub graphs: usize,
    /// Mean of the differences, first minus second.
    pub difference: Interval,
    /// Graphs on which the first is larger.
    pub wins: usize,
    /// Two-sided p-value of the sign-flip permutation test (Fisher 1935): how often random signs
    /// give differences a mean as far from zero. Exact up to 13 graphs.
    pub p: f64,
}

impl Comparison {
    /// Of pairs of values.
    pub fn of(pairs: &[(f64, f64)], seed: u64) -> Self {
        let differences: Vec<f64> = pairs.iter().map(|(first, second)| first - second).collect();
        Self {
            graphs: differences.len(),
            difference: Interval::of_mean(&differences, seed),
            wins: differences.iter().filter(|&&difference| difference > 0.0).count(),
            p: sign_flip(&differences, seed),
        }
    }
}

fn sign_flip(differences: &[f64], seed: u64) -> f64 {
    let observed = differences.iter().sum::<f64>().abs();
    // Sums of the same values in another order may differ in their last bits.
    let tolerance = 1e-12 * differences.iter().map(|value| value.abs()).sum::<f64>();
    let extreme = |signs: u64, chunk: &[f64]| -> f64 {
        let terms = chunk.iter().enumerate();
        terms.map(|(bit, value)| if signs >> bit & 1 == 1 { -value } else { *value }).sum()
    };
    if differences.len() <= EXACT {
        let patterns = 1u64 << differences.len();
        let as_far =
            (0..patterns).filter(|&s| extreme(s, differences).abs() >= observed - tolerance);
        return as_far.count() as f64 / patterns as f64;
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let as_far = (0..RESAMPLES)
        .filter(|_| {
            let sum: f64 =
                differences.chunks(64).map(|chunk| extreme(random.random(), chunk)).sum();
            sum.abs() >= observed - tolerance
        })
        .count();
    // The observed signs are one of the patterns.
    (as_far + 1) as f64 / (RESAMPLES + 1) as f64
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;

    fn sample(count: usize, shift: f64, seed: u64) -> Vec<f64> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        (0..count).map(|_| shift + f64::from(crate::neural::normal(&mut random))).collect()
    }

    #[test]
    fn intervals_have_the_width_of_the_normal_approximation() {
        let values = sample(400, 5.0, 0);
        let interval = Interval::of_mean(&values, 1);
        assert_relative_eq!(interval.high - interval.low, 2.0 * 1.96 / 20.0, max_relative = 0.1);
        assert!(interval.low < interval.mean && interval.mean < interval.high);
        assert_eq!(interval, Interval::of_mean(&values, 1));
        assert_eq!(Interval::of_mean(&[], 0), Interval::default());
        assert_eq!(Interval::of_mean(&[2.0], 0), Interval { mean: 2.0, low: 2.0, high: 2.0 });
    }

    #[test]
    fn intervals_hold_the_truth_about_as_often_as_they_say() {
        let held = (0..200).filter(|&seed| {
            let interval = Interval::of_mean(&sample(30, 0.0, 1000 + seed), seed);
            interval.low <= 0.0 && 0.0 <= interval.high
        });
        assert!((180..=198).contains(&held.count()));
    }

    #[test]
    fn small_tests_are_exact() {
        let all_better: Vec<(f64, f64)> = (0..5).map(|i| (1.0 + f64::from(i), 0.0)).collect();
        let comparison = Comparison::of(&all_better, 0);
        assert_relative_eq!(comparison.p, 2.0 / 32.0);
        assert_eq!((comparison.graphs, comparison.wins), (5, 5));
        assert_relative_eq!(Comparison::of(&[(1.0, 0.0), (0.0, 1.0)], 0).p, 1.0);
        assert_relative_eq!(Comparison::of(&[], 0).p, 1.0);
    }

    #[test]
    fn large_tests_find_a_difference_and_no_other() {
        let pairs = |shift| -> Vec<(f64, f64)> {
            sample(100, shift, 3).into_iter().zip(sample(100, 0.0, 4)).collect()
        };
        assert!(Comparison::of(&pairs(1.0), 0).p < 0.001);
        assert!(Comparison::of(&pairs(0.0), 0).p > 0.05);
    }

    #[test]
    fn intervals_are_those_of_wilson() {
        // Brown, Cai & DasGupta (2001): none of ten.
        let [low, high] = wilson(0.0, 10).unwrap();
        assert_relative_eq!(low, 0.0, epsilon = 1e-12);
        assert_relative_eq!(high, 0.2775, epsilon = 1e-3);
        let [low, high] = wilson(0.5, 100).unwrap();
        assert_relative_eq!(low, 0.4038, epsilon = 1e-3);
        assert_relative_eq!(high, 0.5962, epsilon = 1e-3);
        assert_eq!(wilson(0.5, 0), None);
    }
}
