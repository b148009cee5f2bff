//! The axes that weights are judged on.

use std::collections::BTreeMap;

use crate::{
    data::Dataset,
    evaluate::{
        Corruption, EvaluateError, Failures, Interval, NOISES, NoisyReference, Novelty,
        Reliability, SEVERITIES, Summary, error_overlap, he_initialisation, relative_distance,
        tally, with_noise,
    },
    fill::recalibrated,
    graph::{Architecture, ParameterId, Role, Weights},
    ops::Registry,
    predictor::{CalibrationImages, InputConfig},
};

use super::{
    super::Failure,
    outcome::{Axes, MethodResult},
    subject::{Attempt, Candidate},
};

/// Test images, clean and corrupted, and how networks read them.
pub(super) struct Jury<'a> {
    input: &'a InputConfig,
    clean: &'a Dataset,
    limit: usize,
    corrupted: Vec<(Corruption, Dataset)>,
}

/// What one network showed.
pub(super) struct Verdict {
    pub(super) axes: Axes,
    pub(super) reliability: Vec<Reliability>,
    /// By image; empty for a network that could not be judged.
    pub(super) wrong: Vec<bool>,
}

impl<'a> Jury<'a> {
    /// Takes the first `limit` images, and corrupts the first `corrupted` of them.
    pub(super) fn new(
        input: &'a InputConfig,
        clean: &'a Dataset,
        limit: usize,
        corrupted: usize,
        seed: u64,
    ) -> Result<Self, EvaluateError> {
        let kinds = Corruption::ALL.into_iter().filter(|_| corrupted > 0);
        let corrupted = kinds
            .flat_map(|kind| (1..=SEVERITIES).map(move |severity| (kind, severity)))
            .map(|(kind, severity)| {
                Ok((kind, kind.corrupt(clean, severity, seed, corrupted.min(limit))?))
            })
            .collect::<Result<_, EvaluateError>>()?;
        Ok(Self { input, clean, limit, corrupted })
    }

    /// Number of images.
    pub(super) fn images(&self) -> usize {
        self.clean.len().min(self.limit)
    }

    /// Number of corrupted images of each kind and severity.
    pub(super) fn corrupted_images(&self) -> usize {
        self.corrupted.first().map_or(0, |(_, data)| data.len())
    }

    /// Number of classes.
    pub(super) fn classes(&self) -> usize {
        self.clean.classes.len()
    }

    /// All axes. What cannot be judged scores nothing.
    pub(super) fn judge(&self, attempt: &Attempt) -> Verdict {
        self.judge_by(attempt, |candidate| self.examine(candidate))
    }

    fn judge_by(
        &self,
        attempt: &Attempt,
        axes: impl Fn(&Candidate) -> Result<Verdict, EvaluateError>,
    ) -> Verdict {
        let verdict = match &attempt.candidate {
            Ok(candidate) => axes(candidate).map_err(|error| error.to_string()),
            Err(why) => Err(why.clone()),
        };
        let mut verdict = verdict.unwrap_or_else(|why| Verdict {
            axes: Axes::failed(self.images(), why),
            reliability: Vec::new(),
            wrong: Vec::new(),
        });
        verdict.axes.seconds = attempt.seconds;
        verdict
    }

    fn examine(&self, candidate: &Candidate) -> Result<Verdict, EvaluateError> {
        let Candidate { network, weights } = candidate;
        let architecture = &network.architecture;
        let mut verdict = self.plain(architecture, weights)?;
        for (kind, images) in &self.corrupted {
            let scores =
                tally(architecture, &network.registry, weights, images, self.input, usize::MAX)?
                    .scores();
            verdict.axes.corrupted.entry(*kind).or_default().push(scores.top1);
        }
        Ok(verdict)
    }

    /// The clean images only. What cannot be judged scores nothing.
    pub(super) fn judge_clean(&self, attempt: &Attempt) -> Verdict {
        self.judge_by(attempt, |candidate| {
            self.plain(&candidate.network.architecture, &candidate.weights)
        })
    }

    fn plain(
        &self,
        architecture: &Architecture,
        weights: &Weights,
    ) -> Result<Verdict, EvaluateError> {
        let tally = tally(
            architecture,
            &Registry::standard(),
            weights,
            self.clean,
            self.input,
            self.limit,
        )?;
        Ok(Verdict {
            axes: Axes::of(tally.scores()),
            reliability: tally.reliability().to_vec(),
            wrong: tally.wrong().to_vec(),
        })
    }

    /// How new a network is beside a reference of the same graph; `None` for one that failed.
    pub(super) fn novelty(
        &self,
        attempt: &Attempt,
        verdict: &Verdict,
        reference: &Candidate,
        seed: u64,
    ) -> Result<Option<Novelty>, EvaluateError> {
        let Candidate { network, weights } = reference;
        let architecture = &network.architecture;
        let Ok(candidate) = &attempt.candidate else { return Ok(None) };
        let own = self.plain(architecture, weights)?;
        if verdict.wrong.len() != own.wrong.len() {
            return Ok(None);
        }
        let mut curve =
            vec![NoisyReference { noise: 0.0, top1: own.axes.scores.top1, overlap: 1.0 }];
        for noise in NOISES {
            let mut noisy = with_noise(weights, noise, seed);
            // A variance with noise may be none.
            for (index, parameter) in architecture.parameters.iter().enumerate() {
                let id = ParameterId(index);
                if let Some(values) = weights.get(id)
                    && parameter.role().is_some_and(Role::is_statistic)
                {
                    noisy.set(id, values.to_vec());
                }
            }
            let blurred = self.plain(architecture, &noisy)?;
            let overlap = error_overlap(&blurred.wrong, &own.wrong);
            curve.push(NoisyReference { noise, top1: blurred.axes.scores.top1, overlap });
        }
        let overlap = error_overlap(&verdict.wrong, &own.wrong);
        let distance = relative_distance(&candidate.weights, weights);
        Ok(Some(Novelty::new(verdict.axes.scores.top1, overlap, distance, curve)))
    }

    /// He initialisation; with images, its running statistics are measured on them.
    pub(super) fn he(
        &self,
        architecture: &Architecture,
        seed: u64,
        images: Option<&CalibrationImages>,
    ) -> Result<Verdict, Failure> {
        let mut weights = he_initialisation(architecture, seed);
        if let Some(images) = images {
            weights = recalibrated(architecture, &Registry::standard(), weights, images)?;
        }
        Ok(self.plain(architecture, &weights)?)
    }
}

/// One method over the graphs of a split.
pub(super) fn summarise(
    method: &str,
    verdicts: &[&Verdict],
    classes: usize,
    seed: u64,
) -> MethodResult {
    // What could not be judged has a top-1 of zero, and no other figure.
    let judged: Vec<&Axes> = verdicts
        .iter()
        .map(|verdict| &verdict.axes)
        .filter(|axes| axes.failure.is_none())
        .collect();
    let over = |figure: fn(&Axes) -> f64| {
        let figures: Vec<f64> = judged.iter().map(|axes| figure(axes)).collect();
        Interval::of_mean(&figures, seed)
    };
    let top1: Vec<f64> = verdicts.iter().map(|verdict| verdict.axes.scores.top1).collect();
    let mut failures = Failures::default();
    let mut reliability: Vec<Reliability> = Vec::new();
    let mut corruptions: BTreeMap<Corruption, Vec<f64>> = BTreeMap::new();
    for Verdict { axes, reliability: bins, .. } in verdicts.iter().copied() {
        failures.add(&axes.scores, classes, axes.failure.is_some());
        reliability.resize(reliability.len().max(bins.len()), Reliability::default());
        reliability.iter_mut().zip(bins).for_each(|(sum, bin)| sum.add(bin));
        for (kind, accuracies) in &axes.corrupted {
            let means = corruptions.entry(*kind).or_insert_with(|| vec![0.0; accuracies.len()]);
            for (mean, accuracy) in means.iter_mut().zip(accuracies) {
                *mean += accuracy / verdicts.len() as f64;
            }
        }
    }
    let corrupted: Vec<f64> = if corruptions.is_empty() {
        Vec::new()
    } else {
        verdicts.iter().map(|verdict| verdict.axes.corrupted_top1().unwrap_or(0.0)).collect()
    };
    let seconds: Vec<f64> = verdicts.iter().filter_map(|verdict| verdict.axes.seconds).collect();
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
