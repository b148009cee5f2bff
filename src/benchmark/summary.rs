//! Figures over the graphs of a set.

use std::collections::{BTreeMap, BTreeSet};

use crate::evaluate::{
    Comparison, Corruption, Diversity, Failures, Interval, Novelty, Reliability, Summary,
    epochs_worth,
};

use super::{
    Axes, DiversityResult, Evaluation, GraphResult, MethodResult, NoveltyResult, PREDICTED,
    TrainedResult, TrainingResult,
};

/// One method over the graphs of a set.
pub(super) fn method(
    method: &str,
    evaluations: &[&Evaluation],
    classes: usize,
    seed: u64,
) -> MethodResult {
    // What could not be evaluated has a top-1 of zero, and no other figure.
    let sound: Vec<&Axes> = evaluations
        .iter()
        .map(|evaluation| &evaluation.axes)
        .filter(|axes| axes.failure.is_none())
        .collect();
    let over = |figure: fn(&Axes) -> f64| {
        let figures: Vec<f64> = sound.iter().map(|axes| figure(axes)).collect();
        Interval::of_mean(&figures, seed)
    };
    let top1: Vec<f64> = evaluations.iter().map(|it| it.axes.scores.top1).collect();
    let mut failures = Failures::default();
    let mut reliability: Vec<Reliability> = Vec::new();
    let mut corruptions: BTreeMap<Corruption, Vec<f64>> = BTreeMap::new();
    for Evaluation { axes, reliability: bins, .. } in evaluations.iter().copied() {
        failures.add(&axes.scores, classes, axes.failure.is_some());
        reliability.resize(reliability.len().max(bins.len()), Reliability::default());
        reliability.iter_mut().zip(bins).for_each(|(sum, bin)| sum.add(bin));
        for (kind, accuracies) in &axes.corrupted {
            let means = corruptions.entry(*kind).or_insert_with(|| vec![0.0; accuracies.len()]);
            for (mean, accuracy) in means.iter_mut().zip(accuracies) {
                *mean += accuracy / evaluations.len() as f64;
            }
        }
    }
    let corrupted: Vec<f64> = if corruptions.is_empty() {
        Vec::new()
    } else {
        evaluations.iter().map(|it| it.axes.corrupted_top1().unwrap_or(0.0)).collect()
    };
    let seconds: Vec<f64> = evaluations.iter().filter_map(|it| it.axes.seconds).collect();
    MethodResult {
        method: method.to_owned(),
        top1: Interval::of_mean(&top1, seed),
        spread: Summary::of(top1),
        cross_entropy: over(|axes| axes.scores.cross_entropy),
        ece: over(|axes| axes.scores.ece),
        brier: over(|axes| axes.scores.brier),
        corrupted: (!corrupted.is_empty()).then(|| Interval::of_mean(&corrupted, seed)),
        corruptions,
        failures,
        reliability,
        seconds: (!seconds.is_empty()).then(|| Interval::of_mean(&seconds, seed)),
    }
}

/// Predicted weights beside trained ones, over the graphs for which there are any.
pub(super) fn training(
    graphs: &[GraphResult],
    classes: usize,
    seed: u64,
) -> Option<TrainingResult> {
    let graphs: Vec<(f64, &BTreeMap<usize, f64>)> = graphs
        .iter()
        .filter(|graph| !graph.trained.is_empty())
        .filter_map(|graph| Some((graph.methods.get(PREDICTED)?.scores.top1, &graph.trained)))
        .collect();
    let lengths: BTreeSet<usize> =
        graphs.iter().flat_map(|(_, curve)| curve.keys().copied()).collect();
    let longest = *lengths.last()?;
    let mean = |values: Vec<f64>| Interval::of_mean(&values, seed);
    let worth = |(top1, curve): &(f64, &BTreeMap<usize, f64>)| {
        let points: Vec<(f64, f64)> =
            curve.iter().map(|(&epochs, &top1)| (epochs as f64, top1)).collect();
        epochs_worth(&points, *top1, classes)
    };
    let trained = lengths
        .into_iter()
        .map(|epochs| {
            let pairs: Vec<(f64, f64)> = graphs
                .iter()
                .filter_map(|(top1, curve)| Some((*top1, *curve.get(&epochs)?)))
                .collect();
            let top1 = mean(pairs.iter().map(|(_, trained)| *trained).collect());
            TrainedResult { epochs, top1, comparison: Comparison::of(&pairs, seed) }
        })
        .collect();
    Some(TrainingResult {
        graphs: graphs.len(),
        predicted: mean(graphs.iter().map(|(top1, _)| *top1).collect()),
        trained,
        ratio: mean(
            graphs
                .iter()
                .filter_map(|(top1, curve)| Some(top1 / curve.get(&longest)?.max(1e-9)))
                .collect(),
        ),
        worth: mean(graphs.iter().filter_map(worth).collect()),
    })
}

/// How new predicted weights are, over the graphs that have a reference.
pub(super) fn novelties(graphs: &[GraphResult], seed: u64) -> Option<NoveltyResult> {
    let known: Vec<&Novelty> = graphs.iter().filter_map(|graph| graph.novelty.as_ref()).collect();
    let mean = |values: Vec<f64>| Interval::of_mean(&values, seed);
    let known_noise: Vec<bool> = known.iter().filter_map(|novelty| novelty.above_noise).collect();
    (!known.is_empty()).then(|| NoveltyResult {
        graphs: known.len(),
        overlap: mean(known.iter().map(|novelty| novelty.overlap).collect()),
        distance: mean(known.iter().filter_map(|novelty| novelty.distance).collect()),
        copies: known.iter().filter(|novelty| novelty.copies).count(),
        above_noise: [known_noise.iter().filter(|above| **above).count(), known_noise.len()],
    })
}

/// How different samples of one graph are, over the graphs that have several.
pub(super) fn diversity(graphs: &[GraphResult], seed: u64) -> Option<DiversityResult> {
    let known: Vec<&Diversity> =
        graphs.iter().filter_map(|graph| graph.diversity.as_ref()).collect();
    let mean = |of: fn(&Diversity) -> f64| {
        Interval::of_mean(&known.iter().map(|diversity| of(diversity)).collect::<Vec<_>>(), seed)
    };
    (!known.is_empty()).then(|| DiversityResult {
        graphs: known.len(),
        overlap: mean(|diversity| diversity.overlap),
        disagreement: mean(|diversity| diversity.disagreement),
    })
}
