//! A sample of numbers in a few.

use serde::{Deserialize, Serialize};

/// Spread of one figure over graphs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Number of values.
    pub count: usize,
    /// Mean.
    pub mean: f64,
    /// Standard deviation between values (n − 1).
    pub std: f64,
    /// Smallest.
    pub min: f64,
    /// Tenth percentile.
    pub p10: f64,
    /// Median.
    pub median: f64,
    /// Ninetieth percentile.
    pub p90: f64,
    /// Largest.
    pub max: f64,
}

impl Summary {
    /// Of some values; all zero of none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (Some(&min), Some(&max)) = (values.first(), values.last()) else {
            return Self::default();
        };
        let count = values.len();
        let mean = values.iter().sum::<f64>() / count as f64;
        let square: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let quantile = |share: f64| {
            let at = share * (count - 1) as f64;
            let low = values[at as usize];
            low + at.fract() * (values[(at.ceil() as usize).min(count - 1)] - low)
        };
        Self {
            count,
            mean,
            std: (square / (count - 1).max(1) as f64).sqrt(),
            min,
            p10: quantile(0.1),
            median: quantile(0.5),
            p90: quantile(0.9),
            max,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn quantiles_interpolate() {
        let summary = Summary::of([4.0, 1.0, 3.0, 2.0]);
        assert_eq!((summary.count, summary.min, summary.max), (4, 1.0, 4.0));
        assert_relative_eq!(summary.median, 2.5);
        assert_relative_eq!(summary.p10, 1.3);
        assert_relative_eq!(summary.std, (5.0f64 / 3.0).sqrt());
        assert_eq!(Summary::of([]), Summary::default());
    }
}
