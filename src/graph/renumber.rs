//! Other numbers for the parameters of an architecture.

use super::{Architecture, Operand, Parameter, ParameterId, Twins};

impl Architecture {
    /// Gives every parameter another number: `numbers` are a permutation of those that are left. One
    /// without a number is removed; nothing may read it any more.
    pub fn renumber_parameters(&mut self, numbers: &[Option<ParameterId>]) {
        let mut placed: Vec<Option<Parameter>> = vec![None; self.parameters.len()];
        for (parameter, number) in std::mem::take(&mut self.parameters).into_iter().zip(numbers) {
            if let Some(number) = number {
                placed[number.0] = Some(parameter);
            }
        }
        self.parameters = placed.into_iter().flatten().collect();
        let change = |operand: &mut Operand| {
            if let Operand::Parameter(id) = operand {
                *id = numbers[id.0].unwrap_or(*id);
            }
        };
        for node in self.dag.node_weights_mut() {
            node.inputs.iter_mut().for_each(change);
        }
        self.outputs.iter_mut().for_each(|(_, output)| change(output));
        for id in self.storages.iter_mut().flat_map(|storage| &mut storage.parameters) {
            *id = numbers[id.0].unwrap_or(*id);
        }
        let twins = std::mem::take(&mut self.twins).into_iter();
        let changed = twins.filter_map(|Twins { first, second, transposed }| {
            Some(Twins { first: numbers[first.0]?, second: numbers[second.0]?, transposed })
        });
        self.twins = changed.collect();
    }
}

/// Numbers that close up where some parameters are left out.
pub fn without(count: usize, left_out: impl Fn(ParameterId) -> bool) -> Vec<Option<ParameterId>> {
    let mut next = 0;
    let mut number = |index: usize| {
        let stays = !left_out(ParameterId(index));
        next += usize::from(stays);
        stays.then(|| ParameterId(next - 1))
    };
    (0..count).map(&mut number).collect()
}
