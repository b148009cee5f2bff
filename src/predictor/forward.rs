//! From architectures to estimates of their patches, and from the gradients of their weights back
//! to the network.

use std::ops::Range;

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::{
    encoder::{NodeBatch, NodeFeatures},
    graph::Weights,
    neural::{download, padded, upload},
    patches::{Address, Family, PatchPlan, Span},
};

use super::{Condition, Network, Reading};

/// One architecture to predict weights for.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// What the encoder reads.
    pub features: &'a NodeFeatures,
    /// What is to be written.
    pub plan: &'a PatchPlan,
    /// What a denoiser is told besides; full noise and nothing asked for without. A one-pass predictor
    /// does not hear of it.
    pub condition: Option<&'a Condition>,
}

impl<'a> Job<'a> {
    /// Weights at full noise.
    pub fn new(features: &'a NodeFeatures, plan: &'a PatchPlan) -> Self {
        Self { features, plan, condition: None }
    }
}

/// Jobs side by side, with the addresses of all.
#[derive(Debug)]
pub(crate) struct Placed<'a> {
    pub(crate) jobs: Vec<Job<'a>>,
    /// Of all jobs, with tokens and sources as rows of all node tokens, and padding behind.
    pub(crate) addresses: Vec<Address>,
    /// Where each job's addresses begin.
    pub(crate) first_address: Vec<usize>,
}

impl<'a> Placed<'a> {
    /// `nodes` is the number of node tokens per job.
    pub(crate) fn new(jobs: &[Job<'a>], nodes: usize, device: &Device) -> Self {
        let mut addresses: Vec<Address> = Vec::new();
        let mut first_address = Vec::with_capacity(jobs.len());
        for (position, job) in jobs.iter().enumerate() {
            first_address.push(addresses.len());
            addresses.extend(job.plan.addresses.iter().map(|address| Address {
                token: address.token + position * nodes,
                source: address.source.map(|source| source + position * nodes),
                ..*address
            }));
        }
        if let Some(&any) = addresses.first() {
            // Nobody reads the patches of padding, so they have no gradient.
            addresses.resize(padded(addresses.len(), device), any);
        }
        Self { jobs: jobs.to_vec(), addresses, first_address }
    }

    /// What one output layer writes, with the number of the job.
    pub(crate) fn spans(
        &self,
        family: Family,
        position: usize,
    ) -> impl Iterator<Item = (usize, Span)> {
        self.jobs.iter().enumerate().flat_map(move |(job, of)| {
            of.plan.spans[family as usize][position].iter().map(move |&span| (job, span))
        })
    }

    /// The addresses of every job.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = Range<usize>> {
        self.jobs
            .iter()
            .zip(&self.first_address)
            .map(|(job, &first)| first..first + job.plan.addresses.len())
    }

    fn conditions(&self) -> Vec<Option<&'a Condition>> {
        self.jobs.iter().map(|job| job.condition).collect()
    }
}

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
        let mut estimates = Vec::with_capacity(1);
        let features: Vec<_> = jobs.iter().map(|job| job.features).collect();
        Self::in_parts(network, &features, &[jobs.to_vec()], device, |estimate| {
            estimates.push(estimate);
        });
        estimates.swap_remove(0)
    }

    /// As [`Estimate::new`] for plans that cover parts of the architectures each: all parts are read
    /// before any is written, and `visit` is given one estimate after the other. `features` are those
    /// of the jobs, the same in every part.
    pub fn in_parts(
        network: &Network,
        features: &[&NodeFeatures],
        parts: &[Vec<Job>],
        device: &Device,
        mut visit: impl FnMut(Self),
    ) {
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
        for (index, placed) in placed.into_iter().enumerate() {
            let of_addresses = conditioned.as_ref().map(|(conditioner, told, readings)| {
                conditioner.of_addresses(told, readings[index].as_ref(), &placed, device)
            });
            visit(Self::written(network, tokens.clone(), placed, of_addresses, device));
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
