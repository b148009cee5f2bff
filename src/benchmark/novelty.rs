//! A network beside a trained reference of the same graph.

use crate::{
    evaluate::{
        EvaluateError, NOISES, NoisyReference, Novelty, error_overlap, relative_distance,
        with_noise,
    },
    graph::Role,
};

use super::{Attempt, Candidate, Evaluation, Evaluator};

/// How new a network is beside a reference of the same graph; `None` for one that failed.
pub(super) fn novelty(
    evaluator: &Evaluator,
    attempt: &Attempt,
    evaluation: &Evaluation,
    reference: &Candidate,
    seed: u64,
) -> Result<Option<Novelty>, EvaluateError> {
    let Candidate { network, weights } = reference;
    let Ok(candidate) = &attempt.candidate else { return Ok(None) };
    let own = evaluator.on_clean(network, weights)?;
    if evaluation.wrong.len() != own.wrong.len() {
        return Ok(None);
    }
    let mut curve = vec![NoisyReference { noise: 0.0, top1: own.axes.scores.top1, overlap: 1.0 }];
    for noise in NOISES {
        let mut noisy = with_noise(weights, noise, seed);
        // A variance with noise may be none.
        for (id, values) in weights.tensors() {
            if network.architecture.parameters[id.0].role().is_some_and(Role::is_statistic) {
                noisy.set(id, values.to_vec());
            }
        }
        let blurred = evaluator.on_clean(network, &noisy)?;
        let overlap = error_overlap(&blurred.wrong, &own.wrong);
        curve.push(NoisyReference { noise, top1: blurred.axes.scores.top1, overlap });
    }
    let overlap = error_overlap(&evaluation.wrong, &own.wrong);
    let distance = relative_distance(&candidate.weights, weights);
    Ok(Some(Novelty::new(evaluation.axes.scores.top1, overlap, distance, curve)))
}
