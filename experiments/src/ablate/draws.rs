//! Samples of one graph, and what the rows make of them.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use weightsmith::{
    benchmark::{Attempt, Candidate, HeldOut, Subject},
    condition::Support,
    data::Dataset,
    evaluate::{Diversity, Tally, logits, mean_of},
    fill::{Unlabelled, agreeing, recalibrated},
    graph::Weights,
    predictor::{InputConfig, Predictor},
};

use crate::Failure;

use super::config::{AblationConfig, Combine, Row};

/// What rows are evaluated with.
pub(super) struct Ablation<'a> {
    pub(super) config: &'a AblationConfig,
    pub(super) subjects: &'a BTreeMap<String, Subject>,
    pub(super) test: &'a Dataset,
    /// Validation images, whose labels nobody looks at; none where no row asks for agreement.
    pub(super) unlabelled: Option<&'a Dataset>,
    /// Training images that samples are steered towards; none where no row steers.
    pub(super) support: Option<&'a Dataset>,
    pub(super) seed: u64,
}

/// One row on one graph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Outcome {
    /// By draw.
    pub(super) top1: Vec<f64>,
    /// Of mistakes, over pairs of samples.
    pub(super) overlap: Option<f64>,
    /// Per sample.
    pub(super) seconds: f64,
}

/// One sample on the test images.
struct Evaluated {
    logits: Vec<f32>,
    top1: f64,
    wrong: Vec<bool>,
}

impl Outcome {
    /// Over draws.
    pub(super) fn mean(&self) -> f64 {
        self.top1.iter().sum::<f64>() / self.top1.len().max(1) as f64
    }
}

impl Ablation<'_> {
    /// Every row on a graph.
    pub(super) fn rows(&self, graph: &HeldOut) -> Result<Vec<Outcome>, Failure> {
        let rows = &self.config.rows;
        let mut outcomes: Vec<Option<Outcome>> = vec![None; rows.len()];
        for (index, row) in rows.iter().enumerate() {
            if outcomes[index].is_some() {
                continue;
            }
            let together: Vec<usize> =
                (index..rows.len()).filter(|&other| row.draws_as(&rows[other])).collect();
            let most = together.iter().map(|&other| rows[other].samples).max().unwrap_or(1);
            let drawn = self.draw(&Row { samples: most, ..row.clone() }, graph)?;
            for other in together {
                outcomes[other] = Some(drawn.outcome(&rows[other], self)?);
            }
        }
        Ok(outcomes.into_iter().flatten().collect())
    }

    fn subject(&self, row: &Row) -> &Subject {
        &self.subjects[&row.predictor]
    }

    /// All samples that a row needs.
    fn draw(&self, row: &Row, graph: &HeldOut) -> Result<Drawn<'_>, Failure> {
        let subject = self.subject(row);
        let predictor = subject.reference();
        let varies = subject.varies();
        let draws = if varies { self.config.draws } else { 1 };
        let mut sampling = row.sampling(&predictor.sampling(), draws, self.seed);
        if !varies {
            sampling = predictor.sampling();
        }
        let support = self.support.zip(row.steering);
        let support = support.map(|(data, steering)| Support::of(predictor, data, steering));
        let attempts =
            subject.sample_towards(&graph.name, graph.onnx.clone(), &sampling, support.as_ref())?;
        let seconds = attempts.first().and_then(|attempt| attempt.seconds).unwrap_or(0.0);
        let input = &predictor.config.input;
        let evaluate = |attempt: &Attempt| match &attempt.candidate {
            Ok(candidate) => self
                .evaluate(candidate, &candidate.weights, input)
                .unwrap_or_else(|_| self.failed()),
            Err(_) => self.failed(),
        };
        let evaluated: Vec<Evaluated> = attempts.par_iter().map(evaluate).collect();
        Ok(Drawn { predictor, attempts, evaluated, seconds })
    }

    fn evaluate(
        &self,
        candidate: &Candidate,
        weights: &Weights,
        input: &InputConfig,
    ) -> Result<Evaluated, Failure> {
        let architecture = &candidate.network.architecture;
        let registry = &candidate.network.registry;
        let images = self.config.images;
        let (rows, labels) = logits(architecture, registry, weights, self.test, input, images)?;
        self.tally(rows, &labels)
    }

    fn tally(&self, logits: Vec<f32>, labels: &[u16]) -> Result<Evaluated, Failure> {
        let mut tally = Tally::new(self.test.classes.len());
        tally.add(&logits, labels)?;
        Ok(Evaluated { logits, top1: tally.scores().top1, wrong: tally.wrong().to_vec() })
    }

    /// What cannot be evaluated gets every image wrong.
    fn failed(&self) -> Evaluated {
        let images = self.config.images.min(self.test.len());
        let logits = vec![f32::NAN; images * self.test.classes.len()];
        Evaluated { logits, top1: 0.0, wrong: vec![true; images] }
    }
}

/// Samples of one graph.
struct Drawn<'a> {
    predictor: &'a Predictor,
    attempts: Vec<Attempt>,
    evaluated: Vec<Evaluated>,
    seconds: f64,
}

impl Drawn<'_> {
    fn outcome(&self, row: &Row, ablation: &Ablation) -> Result<Outcome, Failure> {
        let draws: Vec<Vec<usize>> = match self.evaluated.len() {
            1 => vec![vec![0]; ablation.config.draws],
            // Samples of a draw are the same whatever the row takes of them, as long as it takes no more.
            count => {
                let width = count / ablation.config.draws;
                let draw = |draw: usize| (draw * width..draw * width + row.samples).collect();
                (0..ablation.config.draws).map(draw).collect()
            }
        };
        let top1 = draws
            .iter()
            .map(|draw| self.combined(draw, row, ablation))
            .collect::<Result<Vec<f64>, Failure>>()?;
        let wrong: Vec<&[bool]> =
            draws[0].iter().map(|&sample| self.evaluated[sample].wrong.as_slice()).collect();
        let overlap = Diversity::of(&wrong).map(|diversity| diversity.overlap);
        Ok(Outcome { top1, overlap, seconds: self.seconds })
    }

    fn combined(&self, draw: &[usize], row: &Row, ablation: &Ablation) -> Result<f64, Failure> {
        let of = |sample: &usize| &self.evaluated[*sample];
        let labels = || -> Vec<u16> {
            let images = ablation.config.images.min(ablation.test.len());
            ablation.test.labels[..images].to_vec()
        };
        Ok(match row.combine {
            Combine::Each => draw.iter().map(|it| of(it).top1).sum::<f64>() / draw.len() as f64,
            Combine::Oracle => draw.iter().map(|it| of(it).top1).fold(0.0, f64::max),
            Combine::Ensemble => {
                let members: Vec<&[f32]> = draw.iter().map(|it| of(it).logits.as_slice()).collect();
                ablation.tally(mean_of(&members), &labels())?.top1
            }
            Combine::Consensus => {
                let images = self.predictor.calibration_images();
                of(&self.agreeing(draw, &Unlabelled::Learned(&images))).top1
            }
            Combine::Agreement => {
                let input = &self.predictor.config.input;
                let data = ablation.unlabelled.ok_or("agreement needs validation images")?;
                of(&self.agreeing(draw, &Unlabelled::Data(data, input))).top1
            }
            Combine::Average => self.averaged(draw, ablation)?,
        })
    }

    /// The sample of a draw that agrees most with the others; the first if nothing can be said.
    fn agreeing(&self, draw: &[usize], images: &Unlabelled) -> usize {
        let (sound, candidates) = self.sound(draw);
        let weights = weights_of(&candidates);
        let network = candidates.first().map(|it| &it.network);
        let chosen = network.and_then(|it| agreeing(it, &weights, images).ok());
        chosen.map_or(draw[0], |chosen| sound[chosen])
    }

    /// The samples of a draw that are networks, and these.
    fn sound(&self, draw: &[usize]) -> (Vec<usize>, Vec<&Candidate>) {
        let candidate =
            |&sample: &usize| Some((sample, self.attempts[sample].candidate.as_ref().ok()?));
        draw.iter().filter_map(candidate).unzip()
    }

    /// The accuracy of the mean of the samples' weights, statistics measured again.
    fn averaged(&self, draw: &[usize], ablation: &Ablation) -> Result<f64, Failure> {
        let (_, candidates) = self.sound(draw);
        let Some(first) = candidates.first() else { return Ok(0.0) };
        let mean = mean_weights(&weights_of(&candidates));
        let images = self.predictor.calibration_images();
        let mean = recalibrated(&first.network, mean, &images)?;
        Ok(ablation.evaluate(first, &mean, &self.predictor.config.input)?.top1)
    }
}

fn weights_of<'a>(candidates: &[&'a Candidate]) -> Vec<&'a Weights> {
    candidates.iter().map(|candidate| &candidate.weights).collect()
}

/// The means of the weights of several networks of one architecture.
fn mean_weights(networks: &[&Weights]) -> Weights {
    let Some(first) = networks.first() else { return Weights::default() };
    first.map(|id, _| {
        let values: Vec<&[f32]> = networks.iter().filter_map(|weights| weights.get(id)).collect();
        mean_of(&values)
    })
}
