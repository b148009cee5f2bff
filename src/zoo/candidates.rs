//! Which graphs of a space a zoo is grown on.

use std::collections::HashSet;

use rayon::prelude::*;

use crate::{
    corpus,
    execute::Program,
    graph::Architecture,
    onnx::Model,
    ops::{Registry, resolve},
    predictor::{ValueSource, expected},
    spaces::{Space, Split},
};

use super::ZooError;

/// Seeds that are looked at side by side.
const TOGETHER: u64 = 128;

/// A graph that qualifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub seed: u64,
    pub fingerprint: u64,
}

/// The graphs of the smallest seeds that may be learned from, are not too much work, have kernels
/// for all of their operators, and get all of their parameters from a predictor; each of them once.
pub(super) fn candidates(
    space: &Space,
    registry: &Registry,
    count: usize,
    largest_macs: u64,
) -> Result<Vec<Candidate>, ZooError> {
    let mut taken: HashSet<u64> = corpus::held_out_with(space, registry)?;
    let mut found = Vec::with_capacity(count);
    let seeds = Split::Train.seeds(Split::SIZE);
    for start in seeds.clone().step_by(TOGETHER as usize) {
        let part = start..(start + TOGETHER).min(seeds.end);
        let qualify = |seed| qualify(space, registry, seed, largest_macs);
        let qualified: Vec<Option<Candidate>> =
            part.into_par_iter().map(qualify).collect::<Result<_, ZooError>>()?;
        for candidate in qualified.into_iter().flatten() {
            if taken.insert(candidate.fingerprint) {
                found.push(candidate);
            }
            if found.len() == count {
                return Ok(found);
            }
        }
    }
    Err(ZooError::Mismatch(format!(
        "space '{}' has only {} graphs that qualify, not {count}; raise largest_macs or lower graphs",
        space.name,
        found.len()
    )))
}

fn qualify(
    space: &Space,
    registry: &Registry,
    seed: u64,
    largest_macs: u64,
) -> Result<Option<Candidate>, ZooError> {
    let graph = space.sample(seed)?;
    if graph.multiply_accumulates > largest_macs {
        return Ok(None);
    }
    let model = Model::from_bytes(&graph.name, graph.onnx)?;
    let mut architecture = Architecture::from_model(&model)?;
    resolve(&mut architecture, registry)?;
    let written =
        |label: &ValueSource| matches!(label, ValueSource::Predicted | ValueSource::Calibrated);
    let runs = Program::compile(&architecture, registry).is_ok();
    let complete = expected(&architecture, |_| false).iter().all(written);
    let fingerprint = architecture.fingerprint();
    Ok((runs && complete).then_some(Candidate { seed, fingerprint }))
}
