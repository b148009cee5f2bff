//! Where graphs stand among their companions.

use crate::rank::{counts, metrics::ranks};

/// Half the width of a uniform distribution of variance 1.
const WORST: f64 = 1.732_050_8;

/// Ranks of a column, spread evenly around zero with variance 1; the best is at the top. Equal values share
/// one; a missing value stands in the middle, and so does everything where the column does not tell graphs
/// apart.
pub fn standings(column: &[Option<f64>]) -> Vec<f64> {
    let known: Vec<f64> = column.iter().flatten().copied().collect();
    let count = known.len() as f64;
    let mut ranks = ranks(&known).into_iter();
    let standing = |rank: f64| WORST * ((2.0 * rank - 1.0) / count - 1.0);
    column.iter().map(|score| score.and_then(|_| ranks.next()).map_or(0.0, standing)).collect()
}

/// Standings by everything that is counted, and by graph; `column` gives a score of every graph.
pub fn standings_by_counts(column: impl Fn(&str) -> Vec<Option<f64>>) -> Vec<Vec<f64>> {
    counts().map(|name| standings(&column(name))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
