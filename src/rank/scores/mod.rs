//! The scores, a file for each idea.

mod az;
mod codes;
mod jacobian;
mod predicted;
mod saliency;
mod statics;
mod synflow;
mod zen;
mod zico;

use crate::{
    graph::{Architecture, Role},
    rank::Score,
};

/// Every score this crate knows.
pub fn scores() -> Vec<Box<dyn Score>> {
    let families: [Vec<Box<dyn Score>>; 9] = [
        statics::scores(),
        saliency::scores(),
        synflow::scores(),
        codes::scores(),
        jacobian::scores(),
        zen::scores(),
        zico::scores(),
        az::scores(),
        predicted::scores(),
    ];
    families.into_iter().flatten().collect()
}

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
