//! Instructions that one pass can do are merged.

use crate::kernels::{Activation, Step};

use super::lower::{Lowered, Places, Source};

impl Lowered {
    /// The same network in fewer passes.
    pub fn merged(mut self) -> Self {
        self.merge_silu();
        self.merge_activations();
        self.merge_biases();
        self
    }

    fn uses(&self) -> Vec<usize> {
        let mut uses = vec![0; self.extents.len()];
        uses[self.result] += 1;
        for source in self.instructions.iter().flat_map(|instruction| &instruction.sources) {
            if let Source::Value(value) = source {
                uses[*value] += 1;
            }
        }
        uses
    }

    fn producer(&self, value: usize) -> Option<usize> {
        self.instructions.iter().position(|instruction| instruction.output == value)
    }

    /// x · sigmoid(x), as PyTorch exports SiLU, becomes one activation.
    fn merge_silu(&mut self) {
        let uses = self.uses();
        let mut dead = Vec::new();
        for index in 0..self.instructions.len() {
            let &[Source::Value(a), Source::Value(b)] = self.instructions[index].sources.as_slice()
            else {
                continue;
            };
            if self.instructions[index].step != Step::Mul {
                continue;
            }
            for (x, gate) in [(a, b), (b, a)] {
                let Some(producer) = self.producer(gate) else { continue };
                let sigmoid = &self.instructions[producer];
                if uses[gate] == 1
                    && sigmoid.step == Step::Activation(Activation::Sigmoid)
                    && sigmoid.sources == [Source::Value(x)]
                {
                    dead.push(producer);
                    let product = &mut self.instructions[index];
                    product.step = Step::Activation(Activation::Silu);
                    product.sources = vec![Source::Value(x)];
                    break;
                }
            }
        }
        self.remove(dead);
    }

    /// A normalisation takes over the activation that is its only reader.
    fn merge_activations(&mut self) {
        let uses = self.uses();
        let mut dead = Vec::new();
        for index in 0..self.instructions.len() {
            let Step::Activation(activation) = self.instructions[index].step else { continue };
            let &[Source::Value(input)] = self.instructions[index].sources.as_slice() else {
                continue;
            };
            let Some(producer) = self.producer(input).filter(|_| uses[input] == 1) else {
                continue;
            };
            let norm = &mut self.instructions[producer];
            let normalises = matches!(norm.step, Step::BatchNorm { .. } | Step::GroupNorm { .. });
            if normalises && norm.activation.is_none() {
                norm.activation = Some(activation);
                let output = self.instructions[index].output;
                self.instructions[producer].output = output;
                dead.push(index);
            }
        }
        self.remove(dead);
    }

    /// A linear map takes over the bias that is added to its result.
    fn merge_biases(&mut self) {
        let uses = self.uses();
        let mut dead = Vec::new();
        for index in 0..self.instructions.len() {
            let sum = &self.instructions[index];
            let &[Source::Value(input), bias @ Source::Parameter(_)] = sum.sources.as_slice()
            else {
                continue;
            };
            let Some(producer) = self.producer(input).filter(|_| uses[input] == 1) else {
                continue;
            };
            let linear = &self.instructions[producer];
            let [rows, ..] = self.extents[linear.output];
            // One value per row, each of its own.
            let per_row = match &sum.places {
                Places::Weights(map) => {
                    let mut of = map.of.chunks(map.minors.max(1)).enumerate();
                    of.all(|(row, of)| of.iter().all(|&of| of as usize == row))
                        && map.of.len() == rows * map.minors
                }
                _ => false,
            };
            let takes = matches!(linear.step, Step::Linear { .. }) && linear.sources.len() == 2;
            if takes && per_row && sum.step == Step::Add {
                let output = sum.output;
                let linear = &mut self.instructions[producer];
                linear.sources.push(bias);
                linear.output = output;
                dead.push(index);
            }
        }
        self.remove(dead);
    }

    fn remove(&mut self, dead: Vec<usize>) {
        let mut index = 0;
        self.instructions.retain(|_| {
            index += 1;
            !dead.contains(&(index - 1))
        });
    }
}
