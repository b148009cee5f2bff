//! Momentum with orthogonalised steps of matrices (Jordan et al. 2024, *Muon*), each step as long as a
//! share of what it moves.

use crate::kernels::{elementwise::dot, orthogonalise};

const MOMENTUM: f32 = 0.6;
/// Momentum that counts as nothing. Where gradients have become zero it would end as a subnormal number, which no
/// further product with [`MOMENTUM`] makes smaller, and arithmetic with those is slow.
const NEGLIGIBLE: f32 = 1e-30;
/// Step of values outside matrices beside the rate.
const VECTORS: f32 = 0.1;

/// One step of Muon.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Muon {
    /// Norm of the step of a matrix beside the norm of the matrix.
    pub rate: f32,
}

impl Muon {
    /// Moves matrices that are stored one after the other, each row-major of `length` values.
    pub fn step_matrices(
        self,
        values: &mut [f32],
        momentum: &mut [f32],
        gradient: &[f32],
        [length, columns]: [usize; 2],
    ) {
        let mut update = ahead(momentum, gradient);
        update.chunks_mut(length).for_each(|matrix| orthogonalise(matrix, columns));
        let (norm, own) = (dot(&update, &update).sqrt(), dot(values, values).sqrt());
        let factor = if norm > 0.0 { self.rate * own / norm } else { 0.0 };
        values.iter_mut().zip(&update).for_each(|(value, step)| *value -= factor * step);
    }

    /// Moves values that are no matrix, all by the same distance.
    pub fn step_vector(self, values: &mut [f32], momentum: &mut [f32], gradient: &[f32]) {
        for (value, step) in values.iter_mut().zip(ahead(momentum, gradient)) {
            let sign = if step == 0.0 { 0.0 } else { step.signum() };
            *value -= VECTORS * self.rate * sign;
        }
    }
}

/// Nesterov's momentum: the gradient and what the momentum adds to it next.
fn ahead(momentum: &mut [f32], gradient: &[f32]) -> Vec<f32> {
    for (momentum, gradient) in momentum.iter_mut().zip(gradient) {
        *momentum = MOMENTUM * *momentum + gradient;
        if momentum.abs() < NEGLIGIBLE {
            *momentum = 0.0;
        }
    }
    momentum.iter().zip(gradient).map(|(ahead, own)| own + MOMENTUM * ahead).collect()
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;

    #[test]
    fn momentum_without_gradients_ends() {
        let mut momentum = [1.0, -3.0];
        (0..200).for_each(|_| drop(ahead(&mut momentum, &[0.0; 2])));
        assert_eq!(momentum, [0.0; 2]);
    }

    #[test]
    fn steps_are_as_long_as_the_rate_says() {
        let muon = Muon { rate: 0.1 };
        let before = [3.0, 0.0, 0.0, 4.0];
        let (mut values, mut momentum) = (before, [0.0; 4]);
        muon.step_matrices(&mut values, &mut momentum, &[1e-3, 0.0, 0.0, 2e-3], [4, 2]);
        let step: Vec<f32> = before.iter().zip(&values).map(|(old, new)| old - new).collect();
        assert_relative_eq!(dot(&step, &step).sqrt(), 0.5, max_relative = 1e-4);
        let (mut values, mut momentum) = ([1.0; 3], [0.0; 3]);
        muon.step_vector(&mut values, &mut momentum, &[5.0, -1e-6, 0.0]);
        assert_eq!(values, [0.99, 1.01, 1.0]);
    }
}
