//! AdamW (Kingma & Ba 2015, Loshchilov & Hutter 2019).

use crate::kernels::vectorised;

const BETA: [f32; 2] = [0.9, 0.999];
const EPSILON: f32 = 1e-8;

/// One step of AdamW: what all values of a tensor share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Adam {
    /// Learning rate.
    rate: f32,
    /// Factor on gradients.
    scale: f32,
    /// Factor on the values before they move: decoupled weight decay.
    keep: f32,
    /// What moments are divided by, as they start from zero.
    correction: [f32; 2],
}

impl Adam {
    /// Step number `number` of a run, from 1: a learning rate and a factor on gradients.
    pub fn at(number: u64, rate: f32, scale: f32) -> Self {
        let power = number.min(i32::MAX as u64) as i32;
        Self { rate, scale, keep: 1.0, correction: BETA.map(|beta| 1.0 - beta.powi(power)) }
    }

    /// The same step with a factor on the values.
    pub fn keeping(self, keep: f32) -> Self {
        Self { keep, ..self }
    }

    /// Moves values, and the moments `first` and `second`, by a gradient.
    pub fn step(self, values: &mut [f32], first: &mut [f32], second: &mut [f32], gradient: &[f32]) {
        descend(values, first, second, gradient, self);
    }
}

vectorised! {
    fn descend(
        values: &mut [f32],
        first: &mut [f32],
        second: &mut [f32],
        gradient: &[f32],
        by: Adam,
    ) {
        let state = values.iter_mut().zip(first).zip(second).zip(gradient);
        for (((value, first), second), &gradient) in state {
            let gradient = gradient * by.scale;
            *first += (1.0 - BETA[0]) * (gradient - *first);
            *second += (1.0 - BETA[1]) * (gradient * gradient - *second);
            let spread = (*second / by.correction[1]).sqrt() + EPSILON;
            *value = *value * by.keep - by.rate * (*first / by.correction[0]) / spread;
        }
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;

    use super::*;

    #[test]
    fn the_first_step_is_the_rate_against_the_sign() {
        let mut values = [1.0, 2.0, 3.0];
        let (mut first, mut second) = ([0.0; 3], [0.0; 3]);
        let adam = Adam::at(1, 0.1, 2.0).keeping(0.5);
        adam.step(&mut values, &mut first, &mut second, &[4.0, -0.5, 0.0]);
        for (value, expected) in values.into_iter().zip([0.4, 1.1, 1.5]) {
            assert_abs_diff_eq!(value, expected, epsilon = 1e-6);
        }
        assert_abs_diff_eq!(first[0], 0.8, epsilon = 1e-6);
        assert_abs_diff_eq!(second[1], 1e-3, epsilon = 1e-6);
    }
}
