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
    graph::{Architecture, ParameterId, Role, Weights},
    rank::Score,
};

/// Names of the scores that count something of the live graph, which costs next to nothing.
pub fn counts() -> impl Iterator<Item = &'static str> {
    statics::scores().into_iter().map(|score| score.name())
}

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
