//! Places of graphs in a pool.

/// The place of one graph in a pool.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranked {
    /// The joined score, which depends on the pool: of log-ranks their weighted mean, zero at best.
    /// `None` without any score.
    pub score: Option<f64>,
    /// Place from the best, 1; equal scores share the better place.
    pub rank: usize,
    /// Place in a list, where criteria that were not asked any more order what shares a rank.
    pub listed: usize,
    /// Standard deviation of the place as each score in turn is left out; zero with one score.
    pub spread: f64,
}

/// Places from the best.
pub(super) fn places(scores: &[f64]) -> Vec<usize> {
    let mut sorted = scores.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let place = |score: &f64| sorted.partition_point(|other| other.total_cmp(score).is_gt()) + 1;
    scores.iter().map(place).collect()
}

/// Standard deviation of a sample; zero for less than two.
pub(super) fn deviation(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let count = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / count.max(1.0);
    let square = values.map(|value| (value - mean).powi(2)).sum::<f64>();
    (square / (count - 1.0).max(1.0)).sqrt()
}
