//! Low-rank adapters (Hu et al. 2022, *LoRA*): what is trained is the difference to weights that stay, as the
//! product of two thin matrices.

use std::collections::BTreeSet;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::{
    graph::{Architecture, Layout, ParameterId, Role, Weights},
    kernels::gemm::{View, multiply},
    neural::normal,
    optimise::{Adam, clip},
};

/// Largest norm of a gradient.
const CLIP: f32 = 5.0;

/// The difference of one weight, `scaling · B A`; a kernel counts as a matrix with a column for each input and
/// tap.
#[derive(Clone, Debug, PartialEq)]
pub struct LowRank {
    /// The weight.
    pub parameter: ParameterId,
    /// Outputs of the weight.
    pub rows: usize,
    /// Inputs times taps.
    pub columns: usize,
    /// `[rank, columns]`, row-major.
    pub a: Vec<f32>,
    /// `[rows, rank]`, row-major.
    pub b: Vec<f32>,
}

/// Optimiser state of one difference: first and second moments of A, then of B.
type Moments = [Vec<f32>; 4];

/// Differences of many weights.
#[derive(Clone, Debug)]
pub struct Adapter {
    rank: usize,
    scaling: f32,
    base: Weights,
    parts: Vec<LowRank>,
    moments: Vec<Moments>,
    best: Vec<LowRank>,
    steps: u64,
}

impl Adapter {
    /// Of all dense weights that a difference of this rank is smaller than, except `kept` ones. It starts at
    /// zero: A is random, as in the paper, and B is zero. `scaling` is α / rank.
    pub fn new(
        architecture: &Architecture,
        weights: &Weights,
        rank: usize,
        scaling: f32,
        kept: &BTreeSet<ParameterId>,
        seed: u64,
    ) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut parts = Vec::new();
        for (index, parameter) in architecture.parameters.iter().enumerate() {
            let (id, slot) = (ParameterId(index), parameter.slots.first());
            let dense = slot.is_some_and(|slot| {
                slot.role == Role::Weight
                    && slot.layout == Layout::OutIn
                    && slot.groups == 1
                    && slot.view.is_none()
            });
            let Some([rows, inputs @ ..]) = parameter.shape.as_deref().filter(|_| dense) else {
                continue;
            };
            let (rows, columns) = (*rows, inputs.iter().product::<usize>());
            let smaller = rank * (rows + columns) < rows * columns;
            if !smaller || kept.contains(&id) || weights.get(id).is_none() {
                continue;
            }
            let deviation = 1.0 / (columns as f32).sqrt();
            let a = (0..rank * columns).map(|_| deviation * normal(&mut random)).collect();
            parts.push(LowRank { parameter: id, rows, columns, a, b: vec![0.0; rows * rank] });
        }
        let moments = parts.iter().map(|part| {
            let [a, b] = [&part.a, &part.b].map(|values| vec![0.0; values.len()]);
            [a.clone(), a, b.clone(), b]
        });
        let moments = moments.collect();
        let best = parts.clone();
        Self { rank, scaling, base: weights.clone(), parts, moments, best, steps: 0 }
    }

    /// The differences.
    pub fn parts(&self) -> &[LowRank] {
        &self.parts
    }

    /// The weight that a difference is added to.
    pub fn base(&self, part: &LowRank) -> &[f32] {
        self.base.get(part.parameter).unwrap_or_default()
    }

    /// Rows of each A.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// What products are multiplied by.
    pub fn scaling(&self) -> f32 {
        self.scaling
    }

    /// Numbers in all of them.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.a.len() + part.b.len()).sum()
    }

    /// Whether no weight has a difference.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Moves the differences by AdamW along the gradient of the weights, and writes the weights anew.
    pub(super) fn step(&mut self, gradient: &Weights, weights: &mut Weights, rate: f32, keep: f32) {
        let gradients: Option<Vec<[Vec<f32>; 2]>> = self
            .parts
            .iter()
            .map(|part| Some(self.gradient(part, gradient.get(part.parameter)?)))
            .collect();
        let Some(gradients) = gradients else { return };
        let values = gradients.iter().flatten().flatten();
        let norm = values.map(|value| value * value).sum::<f32>().sqrt();
        if !norm.is_finite() {
            return;
        }
        self.steps += 1;
        let adam = Adam::at(self.steps, rate, clip(norm, CLIP)).keeping(keep);
        for ((part, moments), [a, b]) in self.parts.iter_mut().zip(&mut self.moments).zip(gradients)
        {
            let [first_a, second_a, first_b, second_b] = moments;
            adam.step(&mut part.a, first_a, second_a, &a);
            adam.step(&mut part.b, first_b, second_b, &b);
        }
        self.write(weights);
    }

    /// Gradients of A and B from that of the weight: s Bᵀ G and s G Aᵀ.
    fn gradient(&self, part: &LowRank, gradient: &[f32]) -> [Vec<f32>; 2] {
        let LowRank { rows, columns, .. } = *part;
        let rank = self.rank;
        let (mut a, mut b) = (vec![0.0; part.a.len()], vec![0.0; part.b.len()]);
        let (given, out) = (View::rows(gradient, columns), View::transposed(&part.b, rank));
        multiply([rank, columns, rows], out, given, &mut a, columns, false);
        let into = View::transposed(&part.a, columns);
        multiply([rows, rank, columns], given, into, &mut b, rank, false);
        for value in a.iter_mut().chain(&mut b) {
            *value *= self.scaling;
        }
        [a, b]
    }

    /// Writes the weights that stay, each with its difference.
    fn write(&self, weights: &mut Weights) {
        for part in &self.parts {
            let Some(base) = self.base.get(part.parameter) else { continue };
            let LowRank { rows, columns, .. } = *part;
            let mut values = vec![0.0; rows * columns];
            let (b, a) = (View::rows(&part.b, self.rank), View::rows(&part.a, columns));
            multiply([rows, columns, self.rank], b, a, &mut values, columns, false);
            for (value, base) in values.iter_mut().zip(base) {
                *value = base + self.scaling * *value;
            }
            weights.set(part.parameter, values);
        }
    }

    /// Remembers the differences as they are.
    pub(super) fn keep(&mut self) {
        self.best.clone_from(&self.parts);
    }

    /// Goes back to those that were remembered last.
    pub(super) fn go_back(&mut self) {
        self.parts.clone_from(&self.best);
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;

    use crate::{
        onnx::Model,
        ops::{Registry, resolve},
        spaces::plain_cnn,
    };

    use super::*;

    fn network() -> (Architecture, Weights) {
        let model = Model::from_bytes("plain", plain_cnn().into()).unwrap();
        let mut architecture = Architecture::from_model(&model).unwrap();
        resolve(&mut architecture, &Registry::standard()).unwrap();
        let weights = crate::weights::he_initialisation(&architecture, 3);
        (architecture, weights)
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let (architecture, weights) = network();
        let mut adapter = Adapter::new(&architecture, &weights, 2, 1.5, &BTreeSet::new(), 1);
        assert!(!adapter.is_empty());
        let part = &mut adapter.parts[0];
        part.b.iter_mut().enumerate().for_each(|(at, value)| *value = (at as f32).sin());
        let id = part.parameter;
        // A loss that is linear in the weight: its gradient is known.
        let gradient: Vec<f32> =
            (0..part.rows * part.columns).map(|at| (at as f32).cos()).collect();
        let loss = |adapter: &Adapter| -> f64 {
            let mut written = weights.clone();
            adapter.write(&mut written);
            let values = written.get(id).unwrap().iter().zip(&gradient);
            values.map(|(value, slope)| f64::from(*value) * f64::from(*slope)).sum()
        };
        let [a, b] = adapter.gradient(&adapter.parts[0], &gradient);
        for at in [0, 7, 20] {
            let mut moved = adapter.clone();
            moved.parts[0].a[at] += 0.5;
            assert_abs_diff_eq!(
                loss(&moved) - loss(&adapter),
                0.5 * f64::from(a[at]),
                epsilon = 1e-3
            );
            let mut moved = adapter.clone();
            moved.parts[0].b[at] += 0.5;
            assert_abs_diff_eq!(
                loss(&moved) - loss(&adapter),
                0.5 * f64::from(b[at]),
                epsilon = 1e-3
            );
        }
    }

    #[test]
    fn an_adapter_starts_at_the_weights_and_moves_them_within_its_rank() {
        let (architecture, weights) = network();
        let mut adapter = Adapter::new(&architecture, &weights, 1, 2.0, &BTreeSet::new(), 1);
        let mut written = weights.clone();
        adapter.write(&mut written);
        assert_eq!(written, weights);
        let gradient =
            weights.map(|_, values| (0..values.len()).map(|at| (at as f32).sin()).collect());
        for _ in 0..3 {
            adapter.step(&gradient, &mut written, 0.1, 1.0);
        }
        let part = &adapter.parts[0];
        let [own, base] = [&written, &weights].map(|it| it.get(part.parameter).unwrap());
        let moved: Vec<f64> = own.iter().zip(base).map(|(a, b)| f64::from(a - b)).collect();
        assert!(moved.iter().any(|value| value.abs() > 1e-3));
        // All minors of a matrix of rank one are zero.
        let at = |row: usize, column: usize| moved[row * part.columns + column];
        for column in 1..part.columns.min(9) {
            assert_abs_diff_eq!(at(0, 0) * at(1, column), at(1, 0) * at(0, column), epsilon = 1e-5);
        }
    }
}
