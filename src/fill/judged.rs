//! A network on test images.

use serde::{Deserialize, Serialize};

use crate::{
    data::Dataset,
    evaluate::{ClassAccuracy, tally},
    graph::Weights,
    predictor::InputConfig,
};

use super::{FillError, Network};

/// How good a network is on labelled images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// Images that it was judged on.
    pub images: usize,
    /// Share of them that it classifies right.
    pub top1: f64,
    /// Mean cross-entropy in nats.
    pub cross_entropy: f64,
    /// The share by class.
    pub by_class: Vec<ClassAccuracy>,
}

impl Judged {
    /// A graph with some weights on the first images of a data set.
    pub(super) fn of(
        network: &Network,
        weights: &Weights,
        data: &Dataset,
        input: &InputConfig,
        limit: usize,
    ) -> Result<Self, FillError> {
        let Network { architecture, registry, .. } = network;
        let tally = tally(architecture, registry, weights, data, input, limit)?;
        let scores = tally.scores();
        Ok(Self {
            images: scores.images,
            top1: scores.top1,
            cross_entropy: scores.cross_entropy,
            by_class: ClassAccuracy::of(&data.classes, &data.labels, tally.wrong()),
        })
    }
}
