//! A network beside a trained reference of the same graph.

use crate::evaluate::{EvaluateError, Novelty, blurred, relative_distance};

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
    let noisy = |noise| {
        let weights = blurred(&network.architecture, weights, noise, seed);
        Ok(evaluator.on_clean(network, &weights)?.wrong)
    };
    let distance = relative_distance(&network.architecture, &candidate.weights, weights);
    Novelty::beside(&evaluation.wrong, &own.wrong, distance, noisy).map(Some)
}
