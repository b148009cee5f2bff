//! Ranks joined without labels.

use serde::Serialize;

use super::{
    learned::Ranker,
    place::{Ranked, deviation, places},
};

/// One of the scores that `criteria` goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Criterion {
    /// Name of the score.
    pub score: &'static str,
    /// Equal shares of the pool that it tells apart; all of its values without.
    pub grades: Option<usize>,
}

/// What `criteria` goes by, the `auto` of earlier versions: graphs that one score ties are told apart by the
/// next, as long as more pairs are tied than [`TIED`].
///
/// First whether anything unlearned mixes pixels (`learned-mixing`), then whether a path avoids what
/// does and what cannot (`clear-path`), then how deep learned mixing goes (`spatial-layers`), then
/// whether images stay apart (`nwot`), by eighths: its finer differences say nothing. Scores, order, grades
/// and where to stop were chosen with the accuracies of NAS-Bench-Macro, NAS-Bench-101 and 40 held-out graphs
/// of ours in sight; elsewhere it ranks worse than counting does.
pub const CRITERIA: [Criterion; 4] = [
    Criterion { score: "learned-mixing", grades: None },
    Criterion { score: "clear-path", grades: None },
    Criterion { score: "spatial-layers", grades: None },
    Criterion { score: "nwot", grades: Some(8) },
];

/// The share of tied pairs below which no further criterion is asked: what would tell apart the last
/// of them knows less than what came before, and only orders the list.
pub const TIED: f64 = 1.0 / 6.0;

/// How scores become one ranking.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Aggregate {
    /// What was learned from graphs of our own: `auto`.
    Learned(Ranker),
    /// One criterion after the other, until few pairs are tied; see [`CRITERIA`].
    InOrder(Vec<Criterion>),
    /// The sum of log-ranks, each with its weight; see [`aggregate`].
    LogRanks(Vec<(String, f64)>),
}

impl Aggregate {
    /// Places of all graphs; `column` gives a score of every graph.
    pub fn rank(&self, column: impl Fn(&str) -> Vec<Option<f64>>) -> Vec<Ranked> {
        match self {
            Self::Learned(ranker) => ranker.rank(column).graphs,
            Self::LogRanks(weights) => {
                let columns: Vec<_> =
                    weights.iter().map(|(name, weight)| (*weight, column(name))).collect();
                aggregate(&columns)
            }
            Self::InOrder(criteria) => {
                let columns: Vec<Vec<Option<usize>>> =
                    criteria.iter().map(|it| graded(&column(it.score), it.grades)).collect();
                in_order(&columns)
            }
        }
    }
}

/// Which value every score is, from the lowest, or which of `grades` equal shares of all it lies in.
fn graded(column: &[Option<f64>], grades: Option<usize>) -> Vec<Option<usize>> {
    let known: Vec<f64> = column.iter().flatten().copied().collect();
    let count = known.len() as f64;
    // Ranks begin at 1, and equal scores share their mean rank.
    let mut ranks = super::metrics::ranks(&known).into_iter();
    let grade = |rank: f64| match grades {
        None => (2.0 * rank) as usize,
        Some(grades) => ((rank - 0.5) / count * grades as f64) as usize,
    };
    column.iter().map(|score| score.and_then(|_| Some(grade(ranks.next()?)))).collect()
}

/// Ranks by the first column, what it ties by the second, and so on until few are tied; a missing value
/// is the lowest.
fn in_order(columns: &[Vec<Option<usize>>]) -> Vec<Ranked> {
    let graphs = columns.first().map_or(0, Vec::len);
    let join = |without: Option<usize>, enough: f64| -> Vec<f64> {
        let mut positions = vec![0; graphs];
        for (_, column) in columns.iter().enumerate().filter(|(index, _)| Some(*index) != without) {
            let keys: Vec<_> = positions.iter().zip(column).collect();
            let mut sorted = keys.clone();
            sorted.sort();
            positions =
                keys.iter().map(|key| sorted.partition_point(|other| other < key)).collect();
            if tied(&positions) < enough {
                break;
            }
        }
        positions.into_iter().map(|position| position as f64).collect()
    };
    let known = |graph: usize| columns.iter().any(|column| column[graph].is_some());
    let scores: Vec<Option<f64>> = join(None, TIED)
        .into_iter()
        .enumerate()
        .map(|(graph, score)| known(graph).then_some(score))
        .collect();
    let others: Vec<Vec<usize>> = match columns.len() {
        0 | 1 => Vec::new(),
        count => (0..count).map(|column| places(&join(Some(column), TIED))).collect(),
    };
    let listed = places(&join(None, 0.0));
    let mut ranked = aggregate(&[(1.0, scores)]);
    for (graph, ranked) in ranked.iter_mut().enumerate() {
        ranked.listed = listed[graph];
        ranked.spread = deviation(others.iter().map(|places| places[graph] as f64));
    }
    ranked
}

/// The share of pairs that have the same position; zero without pairs.
fn tied(positions: &[usize]) -> f64 {
    let mut sorted = positions.to_vec();
    sorted.sort_unstable();
    let pairs = |count: usize| (count * count.saturating_sub(1)) as f64;
    let tied: f64 = sorted.chunk_by(|a, b| a == b).map(|group| pairs(group.len())).sum();
    tied / pairs(positions.len()).max(1.0)
}

/// Joins scores by the sum of log-ranks (AZ-NAS, Lee and Ham 2024), which punishes being last at
/// anything more than it rewards being first. `columns` holds a weight and a score for each graph,
/// `None` where there is none: that counts as the lowest. Graphs without any score come last.
pub fn aggregate(columns: &[(f64, Vec<Option<f64>>)]) -> Vec<Ranked> {
    let graphs = columns.first().map_or(0, |(_, column)| column.len());
    let scored: Vec<bool> = (0..graphs)
        .map(|graph| columns.iter().any(|(_, column)| column[graph].is_some()))
        .collect();
    let logs: Vec<(f64, Vec<Option<f64>>)> =
        columns.iter().map(|(weight, column)| (*weight, log_ranks(column, &scored))).collect();
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
    let ranked = |graph: usize| Ranked {
        score: Some(scores[graph]).filter(|score| score.is_finite()),
        rank: ranks[graph],
        listed: ranks[graph],
        spread: deviation(others.iter().map(|places| places[graph] as f64)),
    };
    (0..graphs).map(ranked).collect()
}

/// log(rank / count) of every graph that is scored at all; equal scores share their mean rank, and one
/// that is missing is the lowest.
fn log_ranks(column: &[Option<f64>], scored: &[bool]) -> Vec<Option<f64>> {
    let all = column.iter().zip(scored).filter(|(_, scored)| **scored);
    let known: Vec<f64> = all.map(|(score, _)| score.unwrap_or(f64::NEG_INFINITY)).collect();
    let count = known.len() as f64;
    let mut ranks = super::metrics::ranks(&known).into_iter();
    let log =
        |scored: &bool| scored.then(|| ranks.next()).flatten().map(|rank| (rank / count).ln());
    scored.iter().map(log).collect()
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
        assert_relative_eq!(ranked[0].score.unwrap(), (worst + tied) / 2.0);
        assert_relative_eq!(ranked[1].score.unwrap(), ((2.0f64 / 3.0).ln() + worst) / 2.0);
        assert_eq!(ranked.iter().map(|it| it.rank).collect::<Vec<_>>(), [2, 3, 1]);
        assert_eq!(ranked[2].spread, 0.0);
    }

    #[test]
    fn later_criteria_decide_between_what_earlier_ones_tie() {
        let columns = [
            vec![Some(1.0), Some(0.0), Some(1.0), Some(1.0), None],
            vec![Some(5.0), Some(9.0), Some(7.0), Some(7.0), Some(8.0)],
        ];
        let criteria = ["first", "second"].map(|score| Criterion { score, grades: None });
        let by = Aggregate::InOrder(criteria.to_vec());
        let ranked = by.rank(|name| columns[usize::from(name == "second")].clone());
        assert_eq!(ranked.iter().map(|it| it.rank).collect::<Vec<_>>(), [3, 4, 1, 1, 5]);
        // Halves of the second: 5 and the two sevens below, 8 and 9 above.
        let halves = graded(&columns[1], Some(2));
        assert_eq!(halves, [Some(0), Some(1), Some(0), Some(0), Some(1)]);
    }

    #[test]
    fn criteria_are_asked_until_few_pairs_are_tied() {
        // Ten of 45 pairs are tied by the first, one by the first two.
        let first = [0, 0, 0, 0, 0, 1, 2, 3, 4, 5].map(|it| Some(f64::from(it)));
        let second = [0, 0, 1, 2, 3, 0, 0, 0, 0, 0].map(|it| Some(f64::from(it)));
        let third = [0, 1, 0, 0, 0, 0, 0, 0, 0, 0].map(|it| Some(f64::from(it)));
        let by = ["0", "1", "2"].map(|score| Criterion { score, grades: None });
        let columns = [first, second, third];
        let ranked = Aggregate::InOrder(by.to_vec())
            .rank(|name| columns[name.parse::<usize>().unwrap()].to_vec());
        let ranks: Vec<_> = ranked.iter().map(|it| it.rank).collect();
        assert_eq!(ranks, [9, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
        let listed: Vec<_> = ranked.iter().map(|it| it.listed).collect();
        assert_eq!(listed, [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
    }

    #[test]
    fn a_missing_score_is_the_lowest_and_a_graph_without_any_comes_last() {
        let ranked = aggregate(&[
            (2.0, vec![Some(1.0), None, Some(2.0), None]),
            (1.0, vec![Some(1.0), Some(3.0), Some(2.0), None]),
        ]);
        // The second leads by the one score it has.
        assert_relative_eq!(ranked[1].score.unwrap(), 2.0 * (1.0f64 / 3.0).ln() / 3.0);
        assert_eq!(ranked.iter().map(|it| it.rank).collect::<Vec<_>>(), [2, 3, 1, 4]);
        assert_eq!(ranked[3].score, None);
        assert!(aggregate(&[]).is_empty());
    }
}
