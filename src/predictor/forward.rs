//! From architectures to estimates of their patches, and from the gradients of their weights back
//! to the network.

use burn::tensor::{Device, Int, Tensor, TensorData};
use rayon::prelude::*;

use crate::{
    encoder::{NodeBatch, NodeFeatures},
    graph::Weights,
    neural::{download, padded, upload},
    patches::{Family, Span},
};

use super::{Job, Network, Reading, placed::Placed};

/// The network's estimate of all patches of some architectures: of x̂₀ at full noise, of its part F
/// that does not come from the noisy patches otherwise (see [`super::DiffusionConfig::trust`]).
#[derive(Debug)]
pub struct Estimate {
    /// Of every parameter of each job.
    lengths: Vec<Vec<usize>>,
    groups: Vec<Group>,
}

/// What one output layer wrote.
#[derive(Debug)]
struct Group {
    family: Family,
    spans: Vec<(usize, Span)>,
    predicted: Tensor<2>,
}

impl Estimate {
    /// Runs the network. Differentiable when the network lives on an autodiff device.
    pub fn new(network: &Network, jobs: &[Job], device: &Device) -> Self {
        let features: Vec<_> = jobs.iter().map(|job| job.features).collect();
        let mut estimates =
            Self::in_parts(network, &features, &[jobs.to_vec()], device, |estimate| estimate);
        estimates.swap_remove(0)
    }

    /// What becomes of estimates for plans that cover parts of the architectures each. All parts are read before any
    /// is written; each core writes one at a time. `features` are those of the jobs, the same in every part.
    pub fn in_parts<T: Send>(
        network: &Network,
        features: &[&NodeFeatures],
        parts: &[Vec<Job>],
        device: &Device,
        becomes: impl Fn(Self) -> T + Sync,
    ) -> Vec<T> {
        let batch = NodeBatch::new(features, device);
        let placed: Vec<Placed> =
            parts.iter().map(|jobs| Placed::new(jobs, batch.nodes, device)).collect();
        let rows = batch.graphs * batch.nodes;
        let conditioned = network.conditioner().zip(placed.first()).map(|(conditioner, first)| {
            let told = conditioner.told(&first.conditions(), device);
            let readings: Vec<Option<Reading>> =
                placed.iter().map(|placed| conditioner.read(placed, rows, device)).collect();
            (conditioner, told, readings)
        });
        let of_nodes = conditioned.as_ref().map(|(conditioner, told, readings)| {
            let readings: Vec<&Reading> = readings.iter().flatten().collect();
            conditioner.of_nodes(told, &readings, batch.nodes, device)
        });
        let tokens = network.tokens(&batch, of_nodes);
        let part = |(index, placed): (usize, Placed)| {
            let of_addresses = conditioned.as_ref().map(|(conditioner, told, readings)| {
                conditioner.of_addresses(told, readings[index].as_ref(), &placed, device)
            });
            becomes(Self::written(network, tokens.clone(), placed, of_addresses, device))
        };
        // A single one may be differentiated, and stays on its thread.
        match placed.len() {
            0 | 1 => placed.into_iter().enumerate().map(part).collect(),
            _ => placed.into_par_iter().enumerate().with_max_len(1).map(part).collect(),
        }
    }

    fn written(
        network: &Network,
        tokens: Tensor<2>,
        placed: Placed,
        condition: Option<Tensor<2>>,
        device: &Device,
    ) -> Self {
        let lengths = placed.jobs.iter().map(|job| job.plan.lengths.clone()).collect();
        let mut groups = Vec::new();
        if placed.addresses.is_empty() {
            return Self { lengths, groups };
        }
        let hidden = network.hidden(tokens, &placed.addresses, condition);
        for family in Family::ALL {
            for position in 0..family.positions() {
                let spans: Vec<(usize, Span)> = placed.spans(family, position).collect();
                if spans.is_empty() {
                    continue;
                }
                let mut rows: Vec<i32> = spans
                    .iter()
                    .map(|(job, span)| (placed.first_address[*job] + span.address) as i32)
                    .collect();
                let length = padded(rows.len(), device);
                rows.resize(length, 0);
                let rows: Tensor<1, Int> =
                    Tensor::from_data(TensorData::new(rows, [length]), device);
                let predicted = network.patches(hidden.clone(), rows, family, position);
                groups.push(Group { family, spans, predicted });
            }
        }
        Self { lengths, groups }
    }

    /// The weights of each architecture that the patches stand for; absent for parameters that are
    /// not predicted.
    pub fn weights(&self) -> Vec<Weights> {
        let zeros = |lengths: &Vec<usize>| Weights::zeros(lengths);
        let mut weights: Vec<Weights> = self.lengths.iter().map(zeros).collect();
        for group in &self.groups {
            let [rows, columns] = group.family.patch();
            let predicted = download(group.predicted.clone());
            for ((job, span), patch) in group.spans.iter().zip(predicted.chunks(rows * columns)) {
                if let Some(tensor) = weights[*job].get_mut(span.parameter) {
                    span.scatter(patch, columns, tensor);
                }
            }
        }
        weights
    }

    /// A scalar whose gradient with respect to the network is that of the losses whose gradients
    /// with respect to the weights are given: Σ patch · ∂loss/∂patch. It lets the networks run on
    /// another device, or outside any autodiff graph, than the predictor. `None` without patches.
    pub fn surrogate(
        self,
        weights: &[Weights],
        gradients: &[Weights],
        device: &Device,
    ) -> Option<Tensor<1>> {
        let mut total: Option<Tensor<1>> = None;
        for group in self.groups {
            let [height, columns] = group.family.patch();
            let area = height * columns;
            let [rows, _] = group.predicted.dims();
            let mut gradient = vec![0.0; rows * area];
            for ((job, span), patch) in group.spans.iter().zip(gradient.chunks_mut(area)) {
                let [weights, gradients] =
                    [weights, gradients].map(|of| of[*job].get(span.parameter));
                if let (Some(weights), Some(gradients)) = (weights, gradients) {
                    span.gather(weights, gradients, columns, patch);
                }
            }
            let gradient: Tensor<2> = upload(gradient, [rows, area], device);
            let term = (group.predicted * gradient).sum();
            total = Some(match total {
                Some(total) => total + term,
                None => term,
            });
        }
        total
    }
}
