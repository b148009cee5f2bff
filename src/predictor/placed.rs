//! What is asked of a predictor, and where the answers belong.

use std::ops::Range;

use burn::tensor::Device;

use crate::{
    encoder::NodeFeatures,
    neural::padded,
    patches::{Address, Family, PatchPlan, Span},
};

use super::Condition;

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

    /// What each job is told.
    pub(crate) fn conditions(&self) -> Vec<Option<&'a Condition>> {
        self.jobs.iter().map(|job| job.condition).collect()
    }
}
