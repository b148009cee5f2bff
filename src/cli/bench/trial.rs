//! What becomes of the graphs of a split: every method on every graph, and what it comes to.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use crate::{
    evaluate::{Comparison, Diversity, Interval, Novelty, epochs_worth},
    fill::Network,
    graph::DimBindings,
    onnx::Model,
    spaces::Style,
};

use super::{
    super::{Common, Failure},
    bar,
    held_out::{HeldOut, HeldOutSet},
    jury::{Jury, Verdict, summarise},
    outcome::{
        DiversityResult, GraphResult, HE, HE_CALIBRATED, NoveltyResult, PREDICTED, SplitResult,
        StyleRecord, TrainedResult, TrainingResult,
    },
    sgd::SgdTable,
    subject::{Candidate, Subject, file_of},
};

/// What every split is judged with.
pub(super) struct Trial<'a> {
    pub(super) subject: &'a Subject,
    /// Judged on the same graphs.
    pub(super) baselines: &'a [Subject],
    /// Of every graph, where the subject has several.
    pub(super) samples: usize,
    pub(super) jury: &'a Jury<'a>,
    pub(super) sgd: &'a SgdTable,
    /// Folder of trained networks of the graphs.
    pub(super) references: Option<&'a Path>,
    pub(super) seed: u64,
}

/// What came of one graph.
struct Findings {
    /// By method.
    verdicts: BTreeMap<String, Verdict>,
    novelty: Option<Novelty>,
    diversity: Option<Diversity>,
}

impl Trial<'_> {
    /// Judges the graphs of a split.
    pub(super) fn split(&self, set: &HeldOutSet, common: &Common) -> Result<SplitResult, Failure> {
        let graphs = &set.graphs;
        let bar = bar(graphs.len(), common);
        let findings: Vec<Findings> = graphs
            .iter()
            .map(|graph| {
                let of_graph = self.graph(graph);
                bar.inc(1);
                of_graph
            })
            .collect::<Result<_, Failure>>()?;
        bar.finish_and_clear();
        let classes = self.jury.classes();
        let names: Vec<String> = std::iter::once(PREDICTED.to_owned())
            .chain(self.baselines.iter().map(Subject::name))
            .chain([HE_CALIBRATED, HE].map(str::to_owned))
            .collect();
        let summary = |name: &String| {
            let of_method: Vec<&Verdict> =
                findings.iter().filter_map(|findings| findings.verdicts.get(name)).collect();
            summarise(name, &of_method, classes, self.seed)
        };
        let methods = names.iter().map(summary).collect();
        let top1 = |findings: &Findings, name: &str| {
            findings.verdicts.get(name).map_or(0.0, |verdict| verdict.axes.scores.top1)
        };
        let against = |name: &String| {
            let pairs: Vec<(f64, f64)> =
                findings.iter().map(|own| (top1(own, PREDICTED), top1(own, name))).collect();
            (name.clone(), Comparison::of(&pairs, self.seed))
        };
        let comparisons = names[1..].iter().map(against).collect();
        let graphs: Vec<GraphResult> = graphs
            .iter()
            .zip(findings)
            .map(|(graph, Findings { verdicts, novelty, diversity })| GraphResult {
                name: graph.name.clone(),
                style: graph.style.map(StyleRecord::from),
                parameters: graph.parameters,
                multiply_accumulates: graph.multiply_accumulates,
                methods: verdicts
                    .into_iter()
                    .map(|(method, verdict)| (method, verdict.axes))
                    .collect(),
                novelty,
                diversity,
                trained: self.sgd.curve(&graph.name),
            })
            .collect();
        Ok(SplitResult {
            split: set.split.clone(),
            space: set.space.clone(),
            methods,
            comparisons,
            training: training(&graphs, classes, self.seed),
            novelty: novelty(&graphs, self.seed),
            diversity: diversity(&graphs, self.seed),
            graphs,
        })
    }

    fn graph(&self, graph: &HeldOut) -> Result<Findings, Failure> {
        let attempt = self.subject.attempt(graph)?;
        let model = Model::from_bytes(&graph.name, graph.onnx.clone())?;
        let architecture = Network::of(model, DimBindings::default())?.architecture;
        let images = self.subject.reference().calibration_images();
        let predicted = self.jury.judge(&attempt);
        let reference = self.references.map(|folder| file_of(folder, &graph.name));
        let novelty = match reference.filter(|path| path.exists()) {
            None => None,
            Some(path) => {
                let reference = Candidate::read(&path, graph)?;
                self.jury.novelty(&attempt, &predicted, &reference, self.seed)?
            }
        };
        let further: Vec<Verdict> = self
            .subject
            .further(graph, self.samples.saturating_sub(1))?
            .iter()
            .map(|sample| self.jury.judge_clean(sample))
            .collect();
        let mistakes: Vec<&[bool]> = std::iter::once(&predicted)
            .chain(&further)
            .map(|verdict| verdict.wrong.as_slice())
            .filter(|wrong| !wrong.is_empty())
            .collect();
        let diversity = Diversity::of(&mistakes);
        let mut verdicts = BTreeMap::from([
            (PREDICTED.to_owned(), predicted),
            (HE.to_owned(), self.jury.he(&architecture, graph.seed, None)?),
            (HE_CALIBRATED.to_owned(), self.jury.he(&architecture, graph.seed, Some(&images))?),
        ]);
        for baseline in self.baselines {
            verdicts.insert(baseline.name(), self.jury.judge_clean(&baseline.attempt(graph)?));
        }
        Ok(Findings { verdicts, novelty, diversity })
    }
}

impl From<Style> for StyleRecord {
    fn from(style: Style) -> Self {
        let lowercase = |value: &dyn std::fmt::Debug| format!("{value:?}").to_lowercase();
        Self {
            family: lowercase(&style.family),
            norm: lowercase(&style.norm),
            activation: lowercase(&style.activation),
        }
    }
}

/// Predicted weights beside trained ones, over the graphs for which there are any.
fn training(graphs: &[GraphResult], classes: usize, seed: u64) -> Option<TrainingResult> {
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
fn novelty(graphs: &[GraphResult], seed: u64) -> Option<NoveltyResult> {
    let known: Vec<&Novelty> = graphs.iter().filter_map(|graph| graph.novelty.as_ref()).collect();
    let mean = |values: Vec<f64>| Interval::of_mean(&values, seed);
    let judged: Vec<bool> = known.iter().filter_map(|novelty| novelty.above_noise).collect();
    (!known.is_empty()).then(|| NoveltyResult {
        graphs: known.len(),
        overlap: mean(known.iter().map(|novelty| novelty.overlap).collect()),
        distance: mean(known.iter().filter_map(|novelty| novelty.distance).collect()),
        copies: known.iter().filter(|novelty| novelty.copies).count(),
        above_noise: [judged.iter().filter(|above| **above).count(), judged.len()],
    })
}

/// How different samples of one graph are, over the graphs that have several.
fn diversity(graphs: &[GraphResult], seed: u64) -> Option<DiversityResult> {
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
