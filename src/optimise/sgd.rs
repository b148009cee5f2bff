//! Stochastic gradient descent with momentum.

const MOMENTUM: f32 = 0.9;

/// One step of SGD with momentum 0.9.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sgd {
    /// Learning rate.
    pub rate: f32,
    /// Factor on gradients.
    pub scale: f32,
    /// Factor on the values before they move: decoupled weight decay.
    pub keep: f32,
    /// Share of the values that is added to their gradient: weight decay as a penalty.
    pub penalty: Option<f32>,
}

impl Sgd {
    /// Moves values and their momentum by a gradient.
    pub fn step(self, values: &mut [f32], momentum: &mut [f32], gradient: &[f32]) {
        for ((value, momentum), gradient) in values.iter_mut().zip(momentum).zip(gradient) {
            *momentum = MOMENTUM * *momentum + self.scale * gradient;
            if let Some(penalty) = self.penalty {
                *momentum += penalty * *value;
            }
            *value = self.keep * *value - self.rate * *momentum;
        }
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;

    use super::*;

    #[test]
    fn both_kinds_of_decay_shrink_values() {
        let plain = Sgd { rate: 0.1, scale: 1.0, keep: 1.0, penalty: None };
        for (sgd, expected) in [
            (plain, [1.9, 1.71]),
            (Sgd { keep: 0.5, ..plain }, [0.9, 0.26]),
            (Sgd { penalty: Some(1.0), ..plain }, [1.7, 1.16]),
        ] {
            let (mut values, mut momentum) = ([2.0], [0.0]);
            for expected in expected {
                sgd.step(&mut values, &mut momentum, &[1.0]);
                assert_abs_diff_eq!(values[0], expected, epsilon = 1e-6);
            }
        }
    }
}
