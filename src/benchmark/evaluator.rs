//! What a network gets right.

use crate::{
    data::Dataset,
    evaluate::{Corruption, EvaluateError, Reliability, SEVERITIES, tally},
    fill::{Network, recalibrated},
    graph::Weights,
    predictor::{CalibrationImages, InputConfig},
    weights::he_initialisation,
};

use super::{Attempt, Axes, BenchmarkError, Candidate};

/// Test images, clean and corrupted, and how networks read them.
pub struct Evaluator<'a> {
    input: &'a InputConfig,
    clean: &'a Dataset,
    limit: usize,
    corrupted: Vec<(Corruption, Dataset)>,
}

/// What one network showed.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// Its figures.
    pub axes: Axes,
    /// Images by confidence; empty for a network that could not be evaluated.
    pub reliability: Vec<Reliability>,
    /// By image; empty for a network that could not be evaluated.
    pub wrong: Vec<bool>,
}

impl<'a> Evaluator<'a> {
    /// Takes the first `limit` images, and corrupts the first `corrupted` of them.
    pub fn new(
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
    pub fn images(&self) -> usize {
        self.clean.len().min(self.limit)
    }

    /// Number of corrupted images of each kind and severity.
    pub fn corrupted_images(&self) -> usize {
        self.corrupted.first().map_or(0, |(_, data)| data.len())
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.clean.classes.len()
    }

    /// Clean and corrupted images. A network that cannot be evaluated gets none right.
    pub fn evaluate(&self, attempt: &Attempt) -> Evaluation {
        self.evaluate_by(attempt, |candidate| self.on_all(candidate))
    }

    /// Clean images only. A network that cannot be evaluated gets none right.
    pub fn evaluate_clean(&self, attempt: &Attempt) -> Evaluation {
        self.evaluate_by(attempt, |candidate| self.on_clean(&candidate.network, &candidate.weights))
    }

    fn evaluate_by(
        &self,
        attempt: &Attempt,
        evaluate: impl Fn(&Candidate) -> Result<Evaluation, EvaluateError>,
    ) -> Evaluation {
        let evaluation = match &attempt.candidate {
            Ok(candidate) => evaluate(candidate).map_err(|error| error.to_string()),
            Err(why) => Err(why.clone()),
        };
        let mut evaluation = evaluation.unwrap_or_else(|why| Evaluation {
            axes: Axes::failed(self.images(), why),
            reliability: Vec::new(),
            wrong: Vec::new(),
        });
        evaluation.axes.seconds = attempt.seconds;
        evaluation
    }

    fn on_all(&self, candidate: &Candidate) -> Result<Evaluation, EvaluateError> {
        let Candidate { network, weights } = candidate;
        let Network { architecture, registry, .. } = network;
        let mut evaluation = self.on_clean(network, weights)?;
        for (kind, images) in &self.corrupted {
            let tally = tally(architecture, registry, weights, images, self.input, usize::MAX)?;
            let scores = tally.scores();
            evaluation.axes.corrupted.entry(*kind).or_default().push(scores.top1);
        }
        Ok(evaluation)
    }

    /// Weights of a network on the clean images.
    pub fn on_clean(
        &self,
        network: &Network,
        weights: &Weights,
    ) -> Result<Evaluation, EvaluateError> {
        let Network { architecture, registry, .. } = network;
        let tally = tally(architecture, registry, weights, self.clean, self.input, self.limit)?;
        Ok(Evaluation {
            axes: Axes::of(tally.scores()),
            reliability: tally.reliability().to_vec(),
            wrong: tally.wrong().to_vec(),
        })
    }

    /// He initialisation on the clean images; with images to calibrate on, its running statistics are
    /// measured on them.
    pub fn he(
        &self,
        network: &Network,
        seed: u64,
        calibration: Option<&CalibrationImages>,
    ) -> Result<Evaluation, BenchmarkError> {
        let mut weights = he_initialisation(&network.architecture, seed);
        if let Some(images) = calibration {
            weights = recalibrated(network, weights, images)?;
        }
        Ok(self.on_clean(network, &weights)?)
    }
}
