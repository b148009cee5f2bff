//! A network beside what a predictor writes for its graph.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::Serialize;

use crate::{
    fill::Network,
    graph::Weights,
    predictor::Watermark,
    weights::dot,
    zoo::{Groups, ZooError, align},
};

use super::{
    Mark, TraceError,
    reference::{Reference, comparable},
    shuffle::shuffled,
    student::{mean, probability_of_more},
};

/// Shuffled networks that chance is judged by: where many weights are compared it hardly varies, and aligning wide layers
/// takes long.
fn shuffles(values: usize) -> u64 {
    if values < 500_000 { 21 } else { 7 }
}

/// How much a network has in common with what a predictor writes for its graph.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Candidate {
    /// Names of the predictors; all of them write the same.
    pub predictors: Vec<String>,
    /// Number of their sample.
    pub sample: usize,
    /// Cosine of the angle between weights in one gauge, averaged over layers: 1 for equal ones.
    pub similarity: f64,
    /// The same for networks with the same kernels between shuffled channels, on average.
    pub by_chance: f64,
    /// Probability that chance gives as much to any of the candidates.
    pub probability: f64,
    /// Whether the channels of the network are in another order than those of the predictor.
    pub reordered: bool,
    /// What speaks for each of the marks that were looked for.
    pub marks: Vec<Mark>,
}

impl Candidate {
    /// Similarity beyond chance: 0 for what chance gives, 1 for equal weights.
    pub fn excess(&self) -> f64 {
        (self.similarity - self.by_chance) / (1.0 - self.by_chance).max(f64::EPSILON)
    }
}

/// The network whose descent is asked for.
pub(super) struct Suspect<'a> {
    network: &'a Network,
    groups: Groups,
    weights: Weights,
}

impl<'a> Suspect<'a> {
    pub fn new(network: &'a Network) -> Result<Self, TraceError> {
        let groups = Groups::of(&network.architecture, &network.registry);
        let weights = comparable(network, &network.stored_weights()?);
        Ok(Self { network, groups, weights })
    }

    /// How many weights can be compared with a reference.
    pub fn values(&self, reference: &Reference) -> usize {
        self.weights.pairs(&reference.weights).map(|(_, [own, _])| own.len()).sum()
    }

    /// Compares with one of so many references.
    pub fn compare(
        &self,
        reference: Reference,
        references: usize,
        watermarks: &[Watermark],
    ) -> Result<Candidate, TraceError> {
        let values = self.values(&reference);
        let least = 1.0 / (values.max(1) as f64).sqrt();
        let Reference { predictors, sample, weights: reference } = reference;
        let Network { architecture, registry, .. } = self.network;
        let aligned = |weights: &Weights| align(architecture, registry, weights, &reference);
        let own = aligned(&self.weights)?;
        let marks = watermarks.iter().map(|it| Mark::of(it, &own.weights, &reference)).collect();
        let reordered = own.permutations != self.groups.identity();
        let own = similarity(&own.weights, &reference);
        let by_chance = (0..shuffles(values)).into_par_iter().map(|draw| {
            let mut random = ChaCha8Rng::seed_from_u64(draw);
            let weights = shuffled(architecture, &self.groups, &self.weights, &mut random);
            Ok(similarity(&aligned(&weights)?.weights, &reference))
        });
        let by_chance: Vec<f64> = by_chance.collect::<Result<_, ZooError>>()?;
        let probability = probability_of_more(own, &by_chance, least) * references as f64;
        Ok(Candidate {
            predictors,
            sample,
            similarity: own,
            by_chance: mean(&by_chance),
            probability: probability.min(1.0),
            reordered,
            marks,
        })
    }
}

/// Mean cosine of all tensors, those of more values counting more.
fn similarity(weights: &Weights, reference: &Weights) -> f64 {
    let (mut sum, mut total) = (0.0, 0.0);
    for (_, [own, other]) in weights.pairs(reference) {
        let norms = (dot(own, own) * dot(other, other)).sqrt();
        if norms > 0.0 {
            let share = (own.len() as f64).sqrt();
            sum += share * dot(own, other) / norms;
            total += share;
        }
    }
    if total > 0.0 { sum / total } else { 0.0 }
}
