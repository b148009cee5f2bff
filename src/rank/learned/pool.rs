//! Where graphs stand among their companions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::rank::{counts, labels::LabelledPool, metrics::ranks};

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

/// Of mean 0 and variance 1; `None` of values that are all the same.
pub(super) fn unit(values: &[f64]) -> Option<Vec<f64>> {
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let count = finite().count() as f64;
    let mean = finite().sum::<f64>() / count;
    let deviation = (finite().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
    let scaled = |value: &f64| match value.is_finite() {
        true => (value - mean) / deviation,
        false => -3.0,
    };
    (deviation > 0.0).then(|| values.iter().map(scaled).collect())
}

/// How a score enters a ranking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Scale {
    /// By [`standings`]: who is first says it all.
    Standing,
    /// By its logarithm beside the mean of the pool: how many times larger it is.
    Logarithm,
}

impl Scale {
    /// Where graphs stand by a score; without it, in the middle.
    pub fn places(self, column: &[Option<f64>]) -> Vec<f64> {
        match self {
            Self::Standing => standings(column),
            Self::Logarithm => {
                let logarithm = |score: &f64| score.max(0.0).ln_1p();
                let known: Vec<f64> = column.iter().flatten().map(logarithm).collect();
                let mean = known.iter().sum::<f64>() / known.len().max(1) as f64;
                let place = |score: &Option<f64>| score.map_or(0.0, |it| logarithm(&it) - mean);
                column.iter().map(place).collect()
            }
        }
    }
}

/// The number of features in front of the head, which tells skeletons apart.
pub const SKELETON: &str = "head-width";

/// From which share on graphs of one skeleton are the pool: broken ones may lack what the others have.
const ALIKE: f64 = 0.9;

/// Whether graphs differ by what is inside one skeleton, as the cells of most benchmarks do, and not by their sizes:
/// `column` is what each has in front of its head ([`SKELETON`]).
pub fn of_one_skeleton(column: &[Option<f64>]) -> bool {
    let mut known: Vec<f64> = column.iter().flatten().copied().collect();
    known.sort_by(f64::total_cmp);
    let most = known.chunk_by(|a, b| a == b).map(<[f64]>::len).max().unwrap_or(0);
    most as f64 >= ALIKE * column.len() as f64
}

/// The graphs of a pool that share a skeleton, for each skeleton that has at least three.
pub fn skeletons(pool: &LabelledPool) -> Vec<LabelledPool> {
    let mut graphs: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (graph, width) in pool.column(SKELETON).into_iter().enumerate() {
        graphs.entry(width.unwrap_or(0.0).to_bits()).or_default().push(graph);
    }
    graphs.into_values().filter(|it| it.len() > 2).map(|it| pool.part(&it)).collect()
}

/// Standings by everything that is counted, and by graph; `column` gives a score of every graph.
pub fn standings_by_counts(column: impl Fn(&str) -> Vec<Option<f64>>) -> Vec<Vec<f64>> {
    counts().map(|name| standings(&column(name))).collect()
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;

    use super::*;

    #[test]
    fn logarithms_say_how_far_apart_graphs_are() {
        let places = Scale::Logarithm.places(&[Some(9.0), None, Some(999.0)]);
        assert_abs_diff_eq!(places[2] - places[0], 100f64.ln(), epsilon = 1e-9);
        assert_abs_diff_eq!(places[1], 0.0);
        assert_abs_diff_eq!(places[0] + places[2], 0.0, epsilon = 1e-9);
    }

    #[test]
    fn a_skeleton_is_that_of_nearly_all() {
        let pool = |others: usize| -> Vec<Option<f64>> {
            (0..20).map(|graph| if graph < others { None } else { Some(64.0) }).collect()
        };
        assert!(of_one_skeleton(&pool(2)) && !of_one_skeleton(&pool(3)));
        assert!(!of_one_skeleton(&[Some(32.0), Some(64.0)]));
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
