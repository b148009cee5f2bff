//! Scores of the weights that a predictor writes. Batch normalisations take their statistics from
//! the images that the predictor learned, as in what `weightsmith predict` writes.

use crate::{
    execute::{Images, NormStatistics},
    kernels::{cross_entropy, likeliest},
    rank::{Score, ScoreError, Subject},
};

use super::saliency;

/// One statistic.
struct Predicted {
    name: &'static str,
    about: &'static str,
    needs_data: bool,
    of: fn(&Subject) -> Result<f64, ScoreError>,
}

impl Score for Predicted {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn needs_data(&self) -> bool {
        self.needs_data
    }

    fn needs_predictor(&self) -> bool {
        true
    }

    fn of(&self, subject: &Subject) -> Result<f64, ScoreError> {
        (self.of)(subject.sharp())
    }
}

/// Logits for the probe's images.
fn logits(subject: &Subject) -> Result<Vec<f32>, ScoreError> {
    let images = subject.images()?;
    let weights = subject.predicted()?;
    let learned = match (&subject.probe.labels, &subject.probe.predictor) {
        (Some(_), Some(predictor)) => {
            let learned = predictor.calibration_images();
            Some(learned.resized(images.batch, [images.height, images.width]))
        }
        _ => None,
    };
    let scratch = &mut subject.scratch.borrow_mut();
    let Some(learned) = learned else {
        let statistics = NormStatistics::Measured { rows: 0..images.batch };
        return Ok(subject.runner().logits(weights, images, &statistics, scratch)?);
    };
    let rows = learned.shape[0];
    let data = [learned.data.as_slice(), images.data].concat();
    let both = Images { batch: rows + images.batch, data: &data, ..images };
    let statistics = NormStatistics::Measured { rows: 0..rows };
    let logits = subject.runner().logits(weights, both, &statistics, scratch)?;
    Ok(logits[rows * subject.classes()?..].to_vec())
}

fn loss(subject: &Subject) -> Result<(f64, f64), ScoreError> {
    let (labels, classes) = (subject.labels()?, subject.classes()?);
    let logits = logits(subject)?;
    let outcome = cross_entropy(&logits, &labels, 0.0, &mut vec![0.0; logits.len()], classes);
    Ok((f64::from(outcome.loss), outcome.correct as f64 / labels.len().max(1) as f64))
}

/// Entropy of the mean answer minus the mean entropy of the answers, in nats.
fn decision(logits: &[f32], classes: usize) -> f64 {
    let entropy = |shares: &[f64]| -> f64 {
        shares.iter().filter(|share| **share > 0.0).map(|share| -share * share.ln()).sum()
    };
    let images = (logits.len() / classes).max(1) as f64;
    let (mut mean, mut own) = (vec![0.0; classes], 0.0);
    for row in logits.chunks_exact(classes) {
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let powers: Vec<f64> = row.iter().map(|logit| f64::from(logit - largest).exp()).collect();
        let total: f64 = powers.iter().sum();
        let shares: Vec<f64> = powers.iter().map(|power| power / total).collect();
        own += entropy(&shares) / images;
        mean.iter_mut().zip(&shares).for_each(|(mean, share)| *mean += share / images);
    }
    entropy(&mean) - own
}

pub(in crate::rank) fn scores() -> Vec<Box<dyn Score>> {
    let all = [
        Predicted {
            name: "predicted-norm",
            about: "logarithm of the Euclidean norm of the predicted weights",
            needs_data: false,
            of: |subject| {
                let values = subject.predicted()?.values();
                let square: f64 = values.map(|value| f64::from(*value).powi(2)).sum();
                Ok(square.sqrt().ln())
            },
        },
        Predicted {
            name: "predicted-decision",
            about: "how sharply and variously the predicted network answers: the entropy of its \
                    mean answer minus the mean entropy of its answers",
            needs_data: false,
            of: |subject| Ok(decision(&logits(subject)?, subject.classes()?)),
        },
        Predicted {
            name: "predicted-snip",
            about: "Σ |weight · gradient| of the loss at the predicted weights, with the likeliest \
                    classes for labels where none are given",
            needs_data: false,
            of: |subject| {
                let (images, weights) = (subject.images()?, subject.predicted()?);
                let labels = match &subject.probe.labels {
                    Some(_) => subject.labels()?,
                    None => answers(&logits(subject)?, subject.classes()?),
                };
                let (_, gradients) = subject.cross_entropy(weights, images, &labels)?;
                Ok(saliency(&subject.architecture, weights, &gradients))
            },
        },
        Predicted {
            name: "predicted-loss",
            about: "negative cross-entropy of the predicted network",
            needs_data: true,
            of: |subject| Ok(-loss(subject)?.0),
        },
        Predicted {
            name: "predicted-accuracy",
            about: "top-1 of the predicted network",
            needs_data: true,
            of: |subject| Ok(loss(subject)?.1),
        },
    ];
    all.into_iter().map(|score| Box::new(score) as Box<dyn Score>).collect()
}

fn answers(logits: &[f32], classes: usize) -> Vec<u16> {
    logits.chunks_exact(classes).map(|row| likeliest(row).unwrap_or(0) as u16).collect()
}
