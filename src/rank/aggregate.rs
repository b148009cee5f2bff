//! Ranks joined without labels.

/// The scores that `auto` joins, and their weights.
///
/// How deep learned mixing of pixels goes (`spatial-layers`), whether anything unlearned mixes them
/// instead (`learned-mixing`), and whether images stay apart (`nwot`). None of them looks at an accuracy,
/// but scores and weights were chosen with accuracies in sight: those of 250 networks of
/// NAS-Bench-Macro, of NAS-Bench-101 and of 40 held-out graphs of ours after 20 epochs of SGD, as what
/// does least badly on the worst of the three. `learned-mixing` was devised on NAS-Bench-101. What
/// `auto` does elsewhere is not known from them.
pub const AUTO: [(&str, f64); 3] =
    [("spatial-layers", 3.0), ("learned-mixing", 2.0), ("nwot", 1.0)];

/// The place of one graph in a pool.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranked {
    /// Weighted mean of log(rank / graphs) over the scores it has, where the worst has rank 1: zero
    /// at best. It depends on the pool.
    pub score: f64,
    /// Place from the best, 1; equal scores share the better place.
    pub rank: usize,
    /// Standard deviation of the place as each score in turn is left out; zero with one score.
    pub spread: f64,
}

/// Joins scores by the sum of log-ranks (AZ-NAS, Lee and Ham 2024), which punishes being last at
/// anything more than it rewards being first. `columns` holds a weight and a score for each graph,
/// `None` where there is none; graphs without any score come last.
pub fn aggregate(columns: &[(f64, Vec<Option<f64>>)]) -> Vec<Ranked> {
    let graphs = columns.first().map_or(0, |(_, column)| column.len());
    let logs: Vec<(f64, Vec<Option<f64>>)> =
        columns.iter().map(|(weight, column)| (*weight, log_ranks(column))).collect();
    let join = |without: Option<usize>| -> Vec<f64> {
        let joined = |graph: usize| {
            let (mut total, mut weights) = (0.0, 0.0);
            for (index, (weight, logs)) in logs.iter().enumerate() {
                if let (Some(log), true) = (logs[graph], Some(index) != without) {
                    total += weight * log;
                    weights += weight;
                }
            }
            if weights > 0.0 { total / weights } else { f64::NEG_INFINITY }
        };
        (0..graphs).map(joined).collect()
    };
    let scores = join(None);
    let ranks = places(&scores);
    let others: Vec<Vec<usize>> = match logs.len() {
        0 | 1 => Vec::new(),
        columns => (0..columns).map(|column| places(&join(Some(column)))).collect(),
    };
    let ranked = |graph: usize| {
        let places = others.iter().map(|places| places[graph] as f64);
        let count = others.len().max(1) as f64;
        let mean = places.clone().sum::<f64>() / count;
        let square = places.map(|place| (place - mean).powi(2)).sum::<f64>();
        Ranked {
            score: scores[graph],
            rank: ranks[graph],
            spread: (square / (count - 1.0).max(1.0)).sqrt(),
        }
    };
    (0..graphs).map(ranked).collect()
}

/// log(rank / count) of every score there is; equal ones share their mean rank.
fn log_ranks(column: &[Option<f64>]) -> Vec<Option<f64>> {
    let known: Vec<f64> = column.iter().flatten().copied().collect();
    let count = known.len() as f64;
    let mut ranks = super::metrics::ranks(&known).into_iter();
    column.iter().map(|score| score.and_then(|_| Some((ranks.next()? / count).ln()))).collect()
}

/// Places from the best.
fn places(scores: &[f64]) -> Vec<usize> {
    let mut sorted = scores.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let place = |score: &f64| sorted.partition_point(|other| other.total_cmp(score).is_gt()) + 1;
    scores.iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;

    fn column(scores: &[f64]) -> (f64, Vec<Option<f64>>) {
        (1.0, scores.iter().copied().map(Some).collect())
    }

    #[test]
    fn log_ranks_are_averaged() {
        let ranked = aggregate(&[column(&[1.0, 5.0, 9.0]), column(&[0.3, 0.1, 0.3])]);
        let [worst, tied] = [1.0 / 3.0, 2.5 / 3.0].map(f64::ln);
        assert_relative_eq!(ranked[0].score, (worst + tied) / 2.0);
        assert_relative_eq!(ranked[1].score, ((2.0f64 / 3.0).ln() + worst) / 2.0);
        assert_eq!(ranked.iter().map(|it| it.rank).collect::<Vec<_>>(), [2, 3, 1]);
        assert_eq!(ranked[2].spread, 0.0);
    }

    #[test]
    fn missing_scores_are_left_out() {
        let ranked = aggregate(&[
            (2.0, vec![Some(1.0), None, Some(2.0), None]),
            (1.0, vec![Some(1.0), Some(3.0), Some(2.0), None]),
        ]);
        assert_eq!(ranked[1].score, 0.0);
        assert_eq!((ranked[3].rank, ranked[3].score), (4, f64::NEG_INFINITY));
        assert!(aggregate(&[]).is_empty());
    }
}
