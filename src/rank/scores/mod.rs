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

use crate::graph::{Architecture, Role};

/// Weights of convolutions and linear maps with their gradients, tensor by tensor; those that no
/// gradient reached are left out.
fn weighted<'a>(
    architecture: &'a Architecture,
    weights: &'a [Vec<f32>],
    gradients: &'a [Vec<f32>],
) -> impl Iterator<Item = (&'a [f32], &'a [f32])> {
    let tensors = architecture.parameters.iter().zip(weights).zip(gradients);
    tensors.filter_map(|((parameter, weights), gradient)| {
        let counts = parameter.role() == Some(Role::Weight) && !gradient.is_empty();
        counts.then_some((weights.as_slice(), gradient.as_slice()))
    })
}

/// Σ |weight · gradient|.
fn saliency(architecture: &Architecture, weights: &[Vec<f32>], gradients: &[Vec<f32>]) -> f64 {
    weighted(architecture, weights, gradients)
        .flat_map(|(weights, gradient)| weights.iter().zip(gradient))
        .map(|(weight, gradient)| (f64::from(*weight) * f64::from(*gradient)).abs())
        .sum()
}
