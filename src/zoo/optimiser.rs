//! Descending from a network's weights.

use crate::{
    graph::{Architecture, Role, Weights},
    kernels::elementwise::dot,
    optimise::{Adam, Sgd, clip},
};

use super::{Optimiser, Training};

/// The state of an optimiser over weights by parameter.
pub(super) struct Descent<'a> {
    training: &'a Training,
    /// Steps of the whole run.
    steps: u64,
    /// Steps taken.
    pub(super) step: u64,
    /// By parameter: whether it decays.
    decays: Vec<bool>,
    first: Vec<Vec<f32>>,
    /// Empty for optimisers without second moments.
    second: Vec<Vec<f32>>,
}

impl<'a> Descent<'a> {
    /// At the start of a run of so many steps.
    pub(super) fn new(training: &'a Training, architecture: &Architecture, steps: u64) -> Self {
        let parameters = || architecture.parameters.iter();
        let zeros = || parameters().map(|it| vec![0.0; it.len().unwrap_or(0)]).collect();
        Self {
            training,
            steps,
            step: 0,
            decays: parameters().map(|it| it.role() == Some(Role::Weight)).collect(),
            first: zeros(),
            second: match training.optimiser {
                Optimiser::Sgd => Vec::new(),
                Optimiser::Adam => zeros(),
            },
        }
    }

    /// One step against the gradient, zero where it is absent. A gradient that is not finite
    /// changes nothing and returns `false`.
    pub(super) fn descend(&mut self, weights: &mut Weights, gradient: &Weights) -> bool {
        let square: f32 = gradient.tensors().map(|(_, gradient)| dot(gradient, gradient)).sum();
        if !square.is_finite() {
            return false;
        }
        let training = self.training;
        let scale = clip(square.sqrt(), training.clip);
        let rate = training.rate * training.schedule.factor(self.step, self.steps);
        self.step += 1;
        for (id, gradient) in gradient.tensors() {
            let Some(weights) = weights.get_mut(id) else { continue };
            let keep = if self.decays[id.0] { 1.0 - rate * training.weight_decay } else { 1.0 };
            let first = &mut self.first[id.0];
            match training.optimiser {
                Optimiser::Sgd => {
                    Sgd { rate, scale, keep, penalty: None }.step(weights, first, gradient);
                }
                Optimiser::Adam => {
                    let adam = Adam::at(self.step, rate, scale).keeping(keep);
                    adam.step(weights, first, &mut self.second[id.0], gradient);
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;

    use crate::{
        graph::{DType, Origin, Parameter},
        zoo::Schedule,
    };

    use super::*;

    fn vector(length: usize) -> Architecture {
        let parameter = Parameter {
            name: "x".into(),
            dtype: DType::F32,
            shape: Some(vec![length]),
            origin: Origin::Undefined,
            ..Parameter::default()
        };
        Architecture { parameters: vec![parameter], ..Architecture::default() }
    }

    #[test]
    fn both_descend_a_quadratic() {
        for (optimiser, rate) in [(Optimiser::Sgd, 0.05), (Optimiser::Adam, 0.05)] {
            let training =
                Training { optimiser, rate, schedule: Schedule::Cosine, ..Training::default() };
            let mut descent = Descent::new(&training, &vector(3), 500);
            let of = |values: Vec<f32>| -> Weights { [values].into_iter().collect() };
            let mut weights = of(vec![1.0, -2.0, 0.5]);
            for _ in 0..500 {
                let gradient = of(weights.values().map(|value| 2.0 * value).collect());
                assert!(descent.descend(&mut weights, &gradient));
            }
            for &value in weights.values() {
                assert_abs_diff_eq!(value, 0.0, epsilon = 1e-2);
            }
            let before = weights.clone();
            assert!(!descent.descend(&mut weights, &of(vec![f32::NAN; 3])));
            assert_eq!(weights, before);
        }
    }
}
