//! A method and its parameters.

use serde::{Deserialize, Serialize};

use super::{MergeError, Method};

/// How networks are merged. Parameters have the names and the meaning that they have in mergekit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// The method.
    pub method: Method,
    /// How much each network counts.
    pub weight: Vec<f64>,
    /// Share of each task vector's values that is kept, for `ties` and `dare`.
    pub density: Vec<f64>,
    /// Factor of the sum of task vectors.
    pub lambda: f64,
    /// Whether sums are divided by the sum of weights.
    pub normalize: bool,
    /// How far from the first network to the second, for `slerp`.
    pub t: f64,
    /// Seed of what `dare` drops.
    pub seed: u64,
}

impl Recipe {
    /// As mergekit would, for so many networks: each counts 1, whole task vectors, half the way.
    pub fn usual(method: Method, networks: usize) -> Self {
        Self {
            method,
            weight: vec![1.0; networks],
            density: vec![1.0; networks],
            lambda: 1.0,
            normalize: method.normalizes(),
            t: 0.5,
            seed: 0,
        }
    }

    /// Whether it can be followed with so many networks, with or without a base.
    ///
    /// # Errors
    ///
    /// [`MergeError`] names the parameter that does not fit.
    pub fn check(&self, networks: usize, base: bool) -> Result<(), MergeError> {
        let Self { method, weight, density, lambda, normalize, t, .. } = self;
        let (method, least) = (*method, if method.adds_to_base() { 1 } else { 2 });
        if networks < least || method == Method::Slerp && networks > 2 {
            let wanted = match method {
                Method::Slerp => "two networks",
                _ if least == 1 => "a network beside its base",
                _ => "two networks or more",
            };
            return Err(MergeError::Networks { method, wanted, given: networks });
        }
        if method.adds_to_base() && !base {
            return Err(MergeError::NoBase { method });
        }
        for (name, values) in [("weight", weight), ("density", density)] {
            if values.len() != networks {
                return Err(MergeError::Count { name, given: values.len(), networks });
            }
        }
        let out_of_range = |name, value, wanted| Err(MergeError::Range { name, value, wanted });
        let unfit = |values: &[f64], fits: fn(f64) -> bool| {
            values.iter().copied().find(|&value| !value.is_finite() || !fits(value))
        };
        if let Some(value) = unfit(weight, |_| true) {
            return out_of_range("weight", value, "a finite number");
        }
        if let Some(value) = unfit(density, |density| density > 0.0 && density <= 1.0) {
            return out_of_range("density", value, "above 0 and at most 1");
        }
        if !lambda.is_finite() {
            return out_of_range("lambda", *lambda, "a finite number");
        }
        if !(0.0..=1.0).contains(t) {
            return out_of_range("t", *t, "from 0 to 1");
        }
        let sum = weight.iter().sum::<f64>();
        if *normalize && method != Method::Slerp && sum.abs() < 1e-8 {
            return out_of_range("sum of weight", sum, "other than 0 where it is divided by");
        }
        Ok(())
    }

    /// What each network contributes to an interpolation; they sum to 1.
    pub fn shares(&self) -> Vec<f64> {
        if self.method == Method::Slerp {
            return vec![1.0 - self.t, self.t];
        }
        let sum = self.weight.iter().sum::<f64>();
        self.weight.iter().map(|weight| weight / sum).collect()
    }

    /// What values of each network are multiplied with.
    pub(super) fn factors(&self) -> Vec<f64> {
        if self.normalize { self.shares() } else { self.weight.clone() }
    }
}
