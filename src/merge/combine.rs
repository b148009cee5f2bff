//! From tensors of several networks to one.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::{
    graph::{Architecture, Role, Weights},
    weights::dot,
};

use super::{
    MergeError, Method, Recipe,
    sparsify::{drop_at_random, keep_largest, outvote},
};

/// Cosine beyond which two tensors count as parallel.
const PARALLEL: f64 = 0.9995;

impl Recipe {
    /// Merges networks of one graph, whose tensors have the same sizes. Tensors that are fixed or no floats are
    /// those of the base, or else of the first network. Running statistics are neither thinned out nor voted on,
    /// and variances do not fall below zero. The same arguments always give the same result.
    ///
    /// # Errors
    ///
    /// As [`Recipe::check`].
    pub fn merge(
        &self,
        architecture: &Architecture,
        networks: &[Weights],
        base: Option<&Weights>,
    ) -> Result<Weights, MergeError> {
        self.check(networks.len(), base.is_some())?;
        let mut draws: Vec<ChaCha8Rng> = (0..networks.len() as u64)
            .map(|stream| {
                let mut random = ChaCha8Rng::seed_from_u64(self.seed);
                random.set_stream(stream);
                random
            })
            .collect();
        let (shares, base) = (self.shares(), base.filter(|_| self.method.adds_to_base()));
        Ok(base.unwrap_or(&networks[0]).map(|id, own| {
            let parameter = &architecture.parameters[id.0];
            if !parameter.is_free() {
                return own.to_vec();
            }
            let given: Vec<&[f32]> = networks.iter().map(|it| it.get(id).unwrap_or(own)).collect();
            let role = parameter.role();
            let statistic = role.is_some_and(Role::is_statistic);
            let mut merged = match base {
                Some(_) if statistic => added(own, &task_vectors(own, &given), &self.factors()),
                Some(_) => self.with_task_vectors(own, &given, &mut draws),
                None if self.method == Method::Slerp && !statistic => {
                    slerp(given[0], given[1], self.t)
                }
                None if self.method == Method::Mean => weighted(&given, &self.factors()),
                None => weighted(&given, &shares),
            };
            if role == Some(Role::RunningVariance) {
                merged.iter_mut().for_each(|value| *value = value.max(0.0));
            }
            merged
        }))
    }

    fn with_task_vectors(
        &self,
        base: &[f32],
        given: &[&[f32]],
        draws: &mut [ChaCha8Rng],
    ) -> Vec<f32> {
        let mut vectors = task_vectors(base, given);
        let thinned = vectors.iter_mut().zip(&self.density).zip(draws);
        for ((vector, &density), random) in thinned {
            match self.method {
                Method::Ties => keep_largest(vector, density),
                Method::DareTies | Method::DareLinear => drop_at_random(vector, density, random),
                _ => {}
            }
        }
        let agree = match self.method.votes() {
            true => outvote(&vectors, &self.weight),
            false => vec![vec![true; base.len()]; vectors.len()],
        };
        (0..base.len())
            .map(|place| {
                let voices = || (0..vectors.len()).filter(|&voice| agree[voice][place]);
                let sum: f64 = voices()
                    .map(|voice| self.weight[voice] * f64::from(vectors[voice][place]))
                    .sum();
                let weight: f64 = voices().map(|voice| self.weight[voice]).sum();
                let divisor = if self.normalize && weight.abs() > 1e-8 { weight } else { 1.0 };
                (f64::from(base[place]) + self.lambda * sum / divisor) as f32
            })
            .collect()
    }
}

fn task_vectors(base: &[f32], given: &[&[f32]]) -> Vec<Vec<f32>> {
    let less = |values: &&[f32]| values.iter().zip(base).map(|(own, base)| own - base).collect();
    given.iter().map(less).collect()
}

fn added(base: &[f32], vectors: &[Vec<f32>], factors: &[f64]) -> Vec<f32> {
    let vectors: Vec<&[f32]> = vectors.iter().map(Vec::as_slice).collect();
    base.iter().zip(weighted(&vectors, factors)).map(|(base, added)| base + added).collect()
}

fn weighted(given: &[&[f32]], factors: &[f64]) -> Vec<f32> {
    let at = |place: usize| {
        let terms = given.iter().zip(factors);
        terms.map(|(values, factor)| factor * f64::from(values[place])).sum::<f64>() as f32
    };
    (0..given[0].len()).map(at).collect()
}

/// The point at `t` on the way from `a` to `b` by angle; on the straight line where they are parallel.
fn slerp(a: &[f32], b: &[f32], t: f64) -> Vec<f32> {
    let norms = (dot(a, a) * dot(b, b)).sqrt();
    let cosine = if norms > 0.0 { dot(a, b) / norms } else { 1.0 };
    if cosine.abs() > PARALLEL {
        return weighted(&[a, b], &[1.0 - t, t]);
    }
    let angle = cosine.acos();
    let share = |part: f64| (part * angle).sin() / angle.sin();
    weighted(&[a, b], &[share(1.0 - t), share(t)])
}

#[cfg(test)]
mod tests {
    use approx::{assert_abs_diff_eq, assert_relative_eq};

    use crate::graph::{DType, ParameterId};

    use super::*;

    /// A graph of one tensor.
    fn graph() -> Architecture {
        let parameter = crate::graph::Parameter { dtype: DType::F32, ..Default::default() };
        Architecture { parameters: vec![parameter], ..Architecture::default() }
    }

    fn merge(recipe: &Recipe, networks: &[&[f32]], base: Option<&[f32]>) -> Vec<f32> {
        let of = |values: &[f32]| -> Weights { [values.to_vec()].into_iter().collect() };
        let networks: Vec<Weights> = networks.iter().map(|values| of(values)).collect();
        let merged = recipe.merge(&graph(), &networks, base.map(of).as_ref()).unwrap();
        merged.get(ParameterId(0)).unwrap().to_vec()
    }

    #[test]
    fn means_are_weighted() {
        let mut recipe = Recipe::usual(Method::Mean, 2);
        recipe.weight = vec![1.0, 3.0];
        assert_eq!(merge(&recipe, &[&[4.0], &[8.0]], None), [7.0]);
        recipe.normalize = false;
        assert_eq!(merge(&recipe, &[&[4.0], &[8.0]], None), [28.0]);
    }

    #[test]
    fn slerp_keeps_to_the_sphere() {
        let mut recipe = Recipe::usual(Method::Slerp, 2);
        let half = 0.5f32.sqrt();
        let found = merge(&recipe, &[&[1.0, 0.0], &[0.0, 1.0]], None);
        assert_abs_diff_eq!(found[..], [half, half][..], epsilon = 1e-6);
        recipe.t = 1.0 / 3.0;
        let found = merge(&recipe, &[&[1.0, 0.0], &[0.0, 1.0]], None);
        assert_abs_diff_eq!(found[..], [0.75f32.sqrt(), 0.5][..], epsilon = 1e-6);
        let parallel = merge(&recipe, &[&[3.0, 0.0], &[6.0, 0.0]], None);
        assert_abs_diff_eq!(parallel[..], [4.0, 0.0][..], epsilon = 1e-6);
    }

    #[test]
    fn task_vectors_are_added_to_the_base() {
        let mut recipe = Recipe::usual(Method::TaskArithmetic, 2);
        (recipe.weight, recipe.lambda) = (vec![1.0, -0.5], 2.0);
        let found = merge(&recipe, &[&[2.0, 1.0], &[1.0, 5.0]], Some(&[1.0, 1.0]));
        assert_eq!(found, [3.0, -3.0]);
    }

    #[test]
    fn ties_trims_votes_and_averages_those_that_agree() {
        let mut recipe = Recipe::usual(Method::Ties, 3);
        recipe.density = vec![0.5; 3];
        // Of four values two are left: [4, -3, 0, 0], [0, 5, 0, 1] and [2, 0, 0, -3].
        let networks: [&[f32]; 3] =
            [&[4.0, -3.0, 1.0, 0.5], &[0.5, 5.0, 0.0, 1.0], &[2.0, 0.0, 1.0, -3.0]];
        let found = merge(&recipe, &networks, Some(&[0.0; 4]));
        // Zeros agree with nobody, so that a value counts among those of its own sign only.
        assert_relative_eq!(found[..], [3.0, 5.0, 0.0, -3.0][..]);
    }

    #[test]
    fn dare_keeps_the_expectation() {
        let mut recipe = Recipe::usual(Method::DareLinear, 1);
        recipe.density = vec![0.25];
        let found = merge(&recipe, &[&[1.0; 4000]], Some(&[0.0; 4000]));
        assert!(found.iter().all(|&value| value == 0.0 || value == 4.0));
        let mean = found.iter().sum::<f32>() / 4000.0;
        assert_abs_diff_eq!(mean, 1.0, epsilon = 0.1);
        assert_eq!(found, merge(&recipe, &[&[1.0; 4000]], Some(&[0.0; 4000])));
        recipe.seed = 1;
        assert_ne!(found, merge(&recipe, &[&[1.0; 4000]], Some(&[0.0; 4000])));
    }
}
