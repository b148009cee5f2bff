//! Two results, graph by graph.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::evaluate::Comparison;

use super::{Axes, BenchmarkError, GraphResult, Outcome, PREDICTED, SplitResult};

/// The differences of one set of graphs, first minus second, graph by graph.
#[derive(Clone, Debug, Serialize)]
pub struct SplitComparison {
    /// See [`super::HeldOutSet::split`].
    pub split: String,
    /// See [`super::HeldOutSet::space`].
    pub space: String,
    /// By figure.
    pub figures: BTreeMap<&'static str, Comparison>,
}

type Figure = fn(&Axes) -> Option<f64>;

/// What is compared. Only `top1` is known of networks that could not be evaluated.
const FIGURES: [(&str, Figure); 5] = [
    ("top1", |axes| Some(axes.scores.top1)),
    ("cross_entropy", |axes| axes.failure.is_none().then_some(axes.scores.cross_entropy)),
    ("ece", |axes| axes.failure.is_none().then_some(axes.scores.ece)),
    ("brier", |axes| axes.failure.is_none().then_some(axes.scores.brier)),
    ("corrupted", Axes::corrupted_top1),
];

impl Outcome {
    /// The predicted weights of this result against those of another one, on the graphs of both. Results
    /// on different images, or without a graph in common, are an error.
    pub fn compare(&self, other: &Self, seed: u64) -> Result<Vec<SplitComparison>, BenchmarkError> {
        let refuse = |problem: &str| Err(BenchmarkError::Mismatch(problem.to_owned()));
        if (&self.data.hash, self.data.images) != (&other.data.hash, other.data.images) {
            return refuse("the results are of different images");
        }
        let same = |own: &&SplitResult, split: &&SplitResult| {
            (&split.split, &split.space) == (&own.split, &own.space)
        };
        let compared: Vec<SplitComparison> = self
            .splits
            .iter()
            .filter_map(|own| Some((own, other.splits.iter().find(|split| same(&own, split))?)))
            .filter_map(|(own, other)| SplitComparison::of(own, other, seed))
            .collect();
        match compared.is_empty() {
            true => refuse("the results have no graph in common"),
            false => Ok(compared),
        }
    }
}

impl SplitComparison {
    fn of(own: &SplitResult, other: &SplitResult, seed: u64) -> Option<Self> {
        let others: BTreeMap<&str, &GraphResult> =
            other.graphs.iter().map(|graph| (graph.name.as_str(), graph)).collect();
        let compare = |(name, figure): (&'static str, Figure)| {
            let of = |graph: &GraphResult| figure(graph.methods.get(PREDICTED)?);
            let pairs: Vec<(f64, f64)> = own
                .graphs
                .iter()
                .filter_map(|graph| Some((of(graph)?, of(others.get(graph.name.as_str())?)?)))
                .collect();
            (!pairs.is_empty()).then(|| (name, Comparison::of(&pairs, seed)))
        };
        let figures: BTreeMap<_, _> = FIGURES.into_iter().filter_map(compare).collect();
        let (split, space) = (own.split.clone(), own.space.clone());
        (!figures.is_empty()).then_some(Self { split, space, figures })
    }
}
