//! The scores, a file for each idea.

pub(super) mod az;
pub(super) mod codes;
pub(super) mod jacobian;
pub(super) mod predicted;
pub(super) mod saliency;
pub(super) mod statics;
pub(super) mod synflow;
pub(super) mod zen;
pub(super) mod zico;

use crate::graph::{Architecture, ParameterId, Role, Weights};

/// Weights of convolutions and linear maps with their gradients, tensor by tensor; those that no
/// gradient reached are left out.
fn weighted<'a>(
    architecture: &'a Architecture,
    weights: &'a Weights,
    gradients: &'a Weights,
) -> impl Iterator<Item = [&'a [f32]; 2]> {
    let counts = |id: ParameterId| architecture.parameters[id.0].role() == Some(Role::Weight);
    weights.pairs(gradients).filter(move |(id, _)| counts(*id)).map(|(_, tensors)| tensors)
}

/// Σ |weight · gradient|.
fn saliency(architecture: &Architecture, weights: &Weights, gradients: &Weights) -> f64 {
    weighted(architecture, weights, gradients)
        .flat_map(|[weights, gradient]| weights.iter().zip(gradient))
        .map(|(weight, gradient)| (f64::from(*weight) * f64::from(*gradient)).abs())
        .sum()
}
