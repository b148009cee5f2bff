//! The weights of an architecture: their random initialisation, and how far two sets are apart.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::{
    graph::{Architecture, Parameter, ParameterId, Role, Weights},
    neural::normal,
};

/// He initialisation (He et al. 2015): weights N(0, 2 / fan-in), norms identity, biases zero.
pub fn he_initialisation(architecture: &Architecture, seed: u64) -> Weights {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let parameters = architecture.parameters.iter();
    parameters
        .map(|parameter| {
            let length = parameter.len().unwrap_or(0);
            let Some(slot) = parameter.slots.first() else { return vec![0.0; length] };
            match slot.role {
                Role::Weight => {
                    let scale = (2.0 / slot.fan_in.max(1) as f32).sqrt();
                    (0..length).map(|_| scale * normal(&mut random)).collect()
                }
                Role::Gain | Role::RunningVariance => vec![1.0; length],
                Role::Slope => vec![0.25; length],
                _ => vec![0.0; length],
            }
        })
        .collect()
}

/// The scalar product of two tensors.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}

/// ‖a − b‖ / ‖b‖ over the learned parameters that both have. Statistics do not count: they say how images are, not
/// whose weights these are, and their norm may exceed that of all weights.
pub fn distance(architecture: &Architecture, a: &Weights, b: &Weights) -> f64 {
    let (mut apart, mut norm) = (0.0, 0.0);
    let learned = |id: ParameterId| {
        let role = architecture.parameters.get(id.0).and_then(Parameter::role);
        role.is_some_and(|role| !role.is_statistic())
    };
    for (_, [a, b]) in a.pairs(b).filter(|(id, _)| learned(*id)) {
        for (&a, &b) in a.iter().zip(b) {
            apart += (f64::from(a) - f64::from(b)).powi(2);
            norm += f64::from(b).powi(2);
        }
    }
    if apart == 0.0 { 0.0 } else { (apart / norm).sqrt() }
}
