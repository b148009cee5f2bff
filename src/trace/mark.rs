//! Marks in what a network differs by from a prediction.

use serde::Serialize;

use crate::{graph::Weights, predictor::Watermark};

use super::student::normal_tail;

/// Probability by chance up to which a mark is said to be there.
const MOST_CHANCE: f64 = 1e-3;

/// What speaks for a mark in a network.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mark {
    /// [`Watermark::id`] of its key.
    pub key: String,
    /// How far the differences go with the signs of the key, in standard deviations of what other keys give.
    pub deviations: f64,
    /// Probability that a key that has nothing to do with the network gives as much.
    pub probability: f64,
}

impl Mark {
    /// Looks for a mark in weights that are in one gauge with those of a prediction. Signs that have nothing to do
    /// with the weights give a sum of mean zero whose variance is known, whatever the differences are.
    pub(super) fn of(watermark: &Watermark, weights: &Weights, reference: &Weights) -> Self {
        let (mut sum, mut variance) = (0.0, 0.0);
        for (id, [own, reference]) in weights.pairs(reference) {
            let scale = fitting_scale(own, reference);
            let products = own.iter().zip(reference).zip(watermark.signs(id));
            let (mut along, mut square) = (0.0, 0.0);
            for ((&own, &reference), sign) in products {
                let (own, reference) = (f64::from(own), f64::from(reference));
                let term = (own - scale * reference) * reference;
                along += f64::from(sign) * term;
                square += term * term;
            }
            // Layers that were changed much, such as a head that was solved, tell little.
            if square > 0.0 {
                let count = own.len() as f64;
                sum += along * (count / square).sqrt();
                variance += count;
            }
        }
        let deviations = if variance > 0.0 { sum / f64::sqrt(variance) } else { 0.0 };
        Self { key: watermark.id(), deviations, probability: normal_tail(deviations) }
    }

    /// Whether the network carries it.
    pub fn is_there(&self) -> bool {
        self.probability <= MOST_CHANCE
    }
}

/// The factor of the reference that comes nearest, by least squares.
fn fitting_scale(own: &[f32], reference: &[f32]) -> f64 {
    let pairs = own.iter().zip(reference).map(|(&own, &of)| (f64::from(own), f64::from(of)));
    let (along, square) =
        pairs.fold((0.0, 0.0), |(along, square), (own, of)| (along + own * of, square + of * of));
    if square > 0.0 { along / square } else { 0.0 }
}
