//! From architectures to estimates of their patches, and from the gradients of their weights back
//! to the network.

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::{
    encoder::{NodeBatch, NodeFeatures},
    neural::{download, padded, upload},
    patches::{Address, Family, PatchPlan, Span},
};

use super::Network;

/// One architecture to predict weights for.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// What the encoder reads.
    pub features: &'a NodeFeatures,
    /// What is to be written.
    pub plan: &'a PatchPlan,
}

/// The network's estimate x̂₀ of all patches of some architectures. At full noise, the only noise
/// level so far, the estimate depends on the graphs alone.
#[derive(Debug)]
pub struct Estimate<'a> {
    jobs: Vec<Job<'a>>,
    groups: Vec<Group>,
}

/// What one output layer wrote.
#[derive(Debug)]
struct Group {
    family: Family,
    spans: Vec<(usize, Span)>,
    predicted: Tensor<2>,
}

impl<'a> Estimate<'a> {
    /// Runs the network. Differentiable when the network lives on an autodiff device.
    pub fn new(network: &Network, jobs: &[Job<'a>], device: &Device) -> Self {
        let features: Vec<_> = jobs.iter().map(|job| job.features).collect();
        let batch = NodeBatch::new(&features, device);
        let tokens = network.tokens(&batch);
        Self::from_tokens(network, tokens, batch.nodes, jobs, device)
    }

    /// As [`Estimate::new`] for node tokens computed before, `nodes` rows per architecture.
    pub fn from_tokens(
        network: &Network,
        tokens: Tensor<2>,
        nodes: usize,
        jobs: &[Job<'a>],
        device: &Device,
    ) -> Self {
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
        let mut groups = Vec::new();
        let Some(&any) = addresses.first() else {
            return Self { jobs: jobs.to_vec(), groups };
        };
        // Nobody reads the patches of padding, so they have no gradient.
        addresses.resize(padded(addresses.len(), device), any);
        let hidden = network.hidden(tokens, &addresses);
        for family in Family::ALL {
            for position in 0..family.positions() {
                let spans: Vec<(usize, Span)> = jobs
                    .iter()
                    .enumerate()
                    .flat_map(|(job, of)| {
                        let spans = &of.plan.spans[family as usize][position];
                        spans.iter().map(move |&span| (job, span))
                    })
                    .collect();
                if spans.is_empty() {
                    continue;
                }
                let mut rows: Vec<i32> = spans
                    .iter()
                    .map(|(job, span)| (first_address[*job] + span.address) as i32)
                    .collect();
                let length = padded(rows.len(), device);
                rows.resize(length, 0);
                let rows: Tensor<1, Int> =
                    Tensor::from_data(TensorData::new(rows, [length]), device);
                let predicted = network.patches(hidden.clone(), rows, family, position);
                groups.push(Group { family, spans, predicted });
            }
        }
        Self { jobs: jobs.to_vec(), groups }
    }

    /// The weights the patches stand for: one vector per parameter of each architecture, empty
    /// for parameters that are not predicted.
    pub fn weights(&self) -> Vec<Vec<Vec<f32>>> {
        let mut weights: Vec<Vec<Vec<f32>>> = self
            .jobs
            .iter()
            .map(|job| job.plan.lengths.iter().map(|&length| vec![0.0; length]).collect())
            .collect();
        for group in &self.groups {
            let [rows, columns] = group.family.patch();
            let predicted = download(group.predicted.clone());
            for ((job, span), patch) in group.spans.iter().zip(predicted.chunks(rows * columns)) {
                span.scatter(patch, columns, &mut weights[*job][span.parameter.0]);
            }
        }
        weights
    }

    /// A scalar whose gradient with respect to the network is that of the losses whose gradients
    /// with respect to the weights are given: Σ patch · ∂loss/∂patch. It lets the networks run on
    /// another device, or outside any autodiff graph, than the predictor. `None` without patches.
    pub fn surrogate(
        self,
        weights: &[Vec<Vec<f32>>],
        gradients: &[Vec<Vec<f32>>],
        device: &Device,
    ) -> Option<Tensor<1>> {
        let mut total: Option<Tensor<1>> = None;
        for group in self.groups {
            let [height, columns] = group.family.patch();
            let area = height * columns;
            let [rows, _] = group.predicted.dims();
            let mut gradient = vec![0.0; rows * area];
            for ((job, span), patch) in group.spans.iter().zip(gradient.chunks_mut(area)) {
                let (weights, gradients) = (&weights[*job], &gradients[*job]);
                let index = span.parameter.0;
                if !gradients[index].is_empty() {
                    span.gather(&weights[index], &gradients[index], columns, patch);
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
