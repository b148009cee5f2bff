//! The bootstrap (Efron 1979).

use rand::Rng;

/// A 95 % percentile interval of a statistic of so many things: 2.5th and 97.5th percentile of its
/// values over resamples, each of which is told as the things that were drawn, with replacement.
/// Zeros of nothing.
pub(crate) fn interval(
    count: usize,
    resamples: usize,
    random: &mut impl Rng,
    statistic: impl Fn(&[usize]) -> f64,
) -> [f64; 2] {
    if count == 0 || resamples == 0 {
        return [0.0; 2];
    }
    let mut drawn = vec![0; count];
    let mut values: Vec<f64> = (0..resamples)
        .map(|_| {
            drawn.fill_with(|| random.random_range(0..count));
            statistic(&drawn)
        })
        .collect();
    values.sort_by(f64::total_cmp);
    [0.025, 0.975].map(|share| values[(share * (resamples - 1) as f64).round() as usize])
}
