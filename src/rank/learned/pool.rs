//! Where graphs stand among their companions.

use crate::rank::metrics::ranks;

/// Normal scores of a column: what a standard normal variable is exceeded by as often as a graph is by its
/// companions. Equal values share one; a missing value stands in the middle, and so does everything where the
/// column does not tell graphs apart.
pub fn standings(column: &[Option<f64>]) -> Vec<f64> {
    let known: Vec<f64> = column.iter().flatten().copied().collect();
    let count = known.len() as f64;
    let mut ranks = ranks(&known).into_iter();
    let standing = |rank: f64| quantile((rank - 0.5) / count);
    column.iter().map(|score| score.and_then(|_| ranks.next()).map_or(0.0, standing)).collect()
}

/// Of the standard normal distribution, to four digits (Abramowitz and Stegun 1964, 26.2.23).
fn quantile(share: f64) -> f64 {
    let upper = |tail: f64| {
        let t = (-2.0 * tail.ln()).sqrt();
        let above = 2.515_517 + t * (0.802_853 + t * 0.010_328);
        let below = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
        t - above / below
    };
    match share {
        share if share < 0.5 => -upper(share),
        share if share > 0.5 => upper(1.0 - share),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;

    #[test]
    fn quantiles_are_those_of_the_normal_distribution() {
        for (share, value) in
            [(0.975, 1.959_964), (0.1, -1.281_552), (0.5, 0.0), (0.001, -3.090_232)]
        {
            assert_relative_eq!(quantile(share), value, epsilon = 5e-4);
        }
    }

    #[test]
    fn standings_depend_on_order_alone() {
        let column = |values: [f64; 4]| values.map(Some).to_vec();
        assert_eq!(
            standings(&column([1.0, 2.0, 3.0, 4.0])),
            standings(&column([-9.0, 0.0, 0.1, 1e9]))
        );
        let tied = standings(&[Some(7.0), None, Some(7.0)]);
        assert_eq!(tied, [0.0; 3]);
        assert!(standings(&[]).is_empty());
    }
}
