//! What an LSTM computes, however its weights are stored.

use burn::tensor::{Device, Tensor, activation};

use crate::graph::{Fact, GATE_PLACES, Layout, Node, Role};

use super::{
    Array, OpError, SlotRule,
    helpers::{array, bad, bounded, maybe, maybe_shape, named, required},
};

/// Gates of a cell.
pub(super) const GATES: usize = GATE_PLACES.len();
/// What gates, cells and outputs go through.
pub(super) const ACTIVATIONS: [&str; 3] = ["Sigmoid", "Tanh", "Tanh"];

/// What the attributes of a node say.
pub(super) struct Form {
    /// For each direction, whether it reads the sequence from the end.
    pub reversed: &'static [bool],
    batch_first: bool,
    /// Width of the hidden state, where it is said.
    hidden: Option<usize>,
}

impl Form {
    pub fn of(node: &Node) -> Result<Self, OpError> {
        let refuse = |why: String| Err(OpError::Unsupported(why));
        let attributes = &node.attributes;
        let reversed: &[bool] = match attributes.string("direction", "forward")? {
            "forward" => &[false],
            "reverse" => &[true],
            "bidirectional" => &[false, true],
            other => return refuse(format!("direction '{other}'")),
        };
        if let Some(given) = attributes.strings("activations")?
            && given.chunks(ACTIVATIONS.len()).any(|given| given != ACTIVATIONS)
        {
            return refuse(format!("activations {given:?}; only {ACTIVATIONS:?} are"));
        }
        if attributes.float("clip", 0.0)? != 0.0 {
            return refuse("clipped cells; export without 'clip'".to_owned());
        }
        if attributes.int("input_forget", 0)? != 0 {
            return refuse("coupled input and forget gates".to_owned());
        }
        let batch_first = match attributes.int("layout", 0)? {
            0 => false,
            1 => true,
            other => return refuse(format!("layout {other}")),
        };
        let hidden = match attributes.int("hidden_size", 0)? {
            0 => None,
            given => match u16::try_from(given) {
                Ok(hidden) => Some(usize::from(hidden)),
                Err(_) => return refuse(format!("a hidden size of {given}")),
            },
        };
        Ok(Self { reversed, batch_first, hidden })
    }

    /// Extents of a node, if they are known. Recurrent weights are its input 2.
    pub fn extents(&self, inputs: &[Option<Fact>]) -> Result<Option<Extents>, OpError> {
        let hidden = maybe_shape(inputs, 2).and_then(|shape| shape.last().copied());
        let (Some(shape), Some(hidden)) = (maybe_shape(inputs, 0), self.hidden.or(hidden)) else {
            return Ok(None);
        };
        let &[first, second, features] = shape else {
            return Err(bad(0, format!("shape {shape:?} is not that of sequences")));
        };
        let (steps, batch) = if self.batch_first { (second, first) } else { (first, second) };
        bounded(&[GATES, hidden, features.saturating_add(hidden)])?;
        Ok(Some(Extents { steps, batch, features, hidden }))
    }

    /// Extents of a node that runs.
    pub fn extents_of(&self, inputs: &[Option<Array>]) -> Result<Extents, OpError> {
        let facts: Vec<Option<Fact>> =
            inputs.iter().map(|input| input.as_ref().map(Array::fact)).collect();
        self.extents(&facts)?.ok_or_else(|| bad(0, "is missing"))
    }

    /// Multiplications of all directions.
    pub fn multiply_accumulates(&self, inputs: &[Option<Fact>]) -> u64 {
        let extents = self.extents(inputs).ok().flatten();
        let one = extents.map_or(0, Extents::multiply_accumulates);
        one.saturating_mul(self.reversed.len() as u64)
    }

    /// Slots of the inputs behind the sequence: what each does, how it is laid out, and its shape.
    pub fn slots(
        &self,
        inputs: &[Option<Fact>],
        tensors: &[(Role, Layout)],
        shapes: impl Fn(Extents) -> Vec<Vec<usize>>,
    ) -> Result<Vec<SlotRule>, OpError> {
        let extents = self.extents(inputs)?;
        let shapes = extents.map(shapes);
        let rule = |(input, &(role, layout)): (usize, &(Role, Layout))| SlotRule {
            role,
            layout,
            fan_in: extents.map(Extents::fan_in),
            shape: shapes.as_ref().map(|shapes| shapes[input - 1].clone()),
            ..SlotRule::free(input)
        };
        Ok((1..).zip(tensors).map(rule).collect())
    }

    /// Shape of the sequence of outputs, or of a state.
    fn shape(&self, extents: Extents, sequence: bool) -> Vec<usize> {
        let Extents { steps, batch, hidden, .. } = extents;
        let directions = self.reversed.len();
        match (sequence, self.batch_first) {
            (true, false) => vec![steps, directions, batch, hidden],
            (true, true) => vec![batch, steps, directions, hidden],
            (false, false) => vec![directions, batch, hidden],
            (false, true) => vec![batch, directions, hidden],
        }
    }

    /// What is known of the outputs, once weights and biases have the shapes that they must have.
    pub fn infer(
        &self,
        node: &Node,
        inputs: &[Option<Fact>],
        shapes: impl Fn(Extents) -> Vec<Vec<usize>>,
    ) -> Result<Vec<Fact>, OpError> {
        let x = required(inputs, 0)?;
        [1, 2].into_iter().try_for_each(|input| required(inputs, input).map(drop))?;
        let extents = self.extents(inputs)?;
        if let Some(extents) = extents {
            let state = self.shape(extents, false);
            let states = [(5, state.clone()), (6, state)];
            for (input, expected) in (1..).zip(shapes(extents)).chain(states) {
                match maybe_shape(inputs, input) {
                    Some(shape) if shape != expected => {
                        return Err(bad(input, format!("shape {shape:?} is not {expected:?}")));
                    }
                    _ => {}
                }
            }
        }
        let fact = |slot: usize| {
            let is_named = node.outputs.get(slot).is_some_and(|output| !output.name.is_empty());
            let shape = extents.filter(|_| is_named).map(|it| self.shape(it, slot == 0));
            named(node, slot, x.dtype, shape, None)
        };
        Ok((0..3).filter_map(fact).collect())
    }

    /// Runs every direction. `cells` are their weights.
    pub fn run(
        &self,
        inputs: &[Option<Array>],
        extents: Extents,
        cells: Vec<Cell>,
        device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let Extents { steps, batch, features, hidden } = extents;
        let x = array(inputs, 0)?;
        let x: Tensor<3> = match self.batch_first {
            true => x.view::<3>(0, [batch, steps, features])?.swap_dims(0, 1),
            false => x.view(0, [steps, batch, features])?,
        };
        let directions = self.reversed.len();
        let state = |input: usize| -> Result<Tensor<3>, OpError> {
            Ok(match (maybe(inputs, input), self.batch_first) {
                (None, _) => Tensor::zeros([directions, batch, hidden], device),
                (Some(state), false) => state.view(input, [directions, batch, hidden])?,
                (Some(state), true) => {
                    state.view::<3>(input, [batch, directions, hidden])?.swap_dims(0, 1)
                }
            })
        };
        let (states, memories) = (state(5)?, state(6)?);
        let (mut sequences, mut last) = (Vec::new(), [Vec::new(), Vec::new()]);
        for (direction, (cell, &reversed)) in cells.into_iter().zip(self.reversed).enumerate() {
            let own = |states: &Tensor<3>| {
                states.clone().narrow(0, direction, 1).reshape([batch, hidden])
            };
            let (sequence, states) = cell.run(x.clone(), [own(&states), own(&memories)], reversed);
            sequences.push(sequence.reshape([steps, 1, batch, hidden]));
            for (last, state) in last.iter_mut().zip(states) {
                last.push(state.reshape([1, batch, hidden]));
            }
        }
        let sequence: Tensor<4> = Tensor::cat(sequences, 1);
        let last = last.map(|states| -> Tensor<3> { Tensor::cat(states, 0) });
        let (sequence, last) = match self.batch_first {
            true => (sequence.permute([2, 0, 1, 3]), last.map(|states| states.swap_dims(0, 1))),
            false => (sequence, last),
        };
        Ok([Array::of(sequence)].into_iter().chain(last.map(Array::of)).collect())
    }
}

/// Extents of a node.
#[derive(Clone, Copy)]
pub(super) struct Extents {
    pub steps: usize,
    pub batch: usize,
    pub features: usize,
    pub hidden: usize,
}

impl Extents {
    /// Input values summed per value of a gate.
    fn fan_in(self) -> usize {
        self.features.saturating_add(self.hidden)
    }

    /// Of one direction.
    fn multiply_accumulates(self) -> u64 {
        let factors = [self.steps, self.batch, GATES, self.hidden, self.fan_in()];
        factors.into_iter().fold(1, |product: u64, factor| product.saturating_mul(factor as u64))
    }
}

/// Weights of one direction, whose gates are those for input, forgetting, cell and output.
pub(super) struct Cell {
    /// `[4 · hidden, features]`
    pub input: Tensor<2>,
    /// `[4 · hidden, hidden]`
    pub recurrent: Tensor<2>,
    /// `[1, 4 · hidden]`
    pub bias: Option<Tensor<2>>,
}

impl Cell {
    /// Runs over a `[steps, batch, features]` sequence from a state and a memory; the `[steps, batch, hidden]`
    /// sequence of states, the last state and the last memory.
    fn run(
        self,
        x: Tensor<3>,
        [mut state, mut memory]: [Tensor<2>; 2],
        reversed: bool,
    ) -> (Tensor<3>, [Tensor<2>; 2]) {
        let ([steps, batch, features], [_, hidden]) = (x.dims(), state.dims());
        let mut seen = x.reshape([steps * batch, features]).matmul(self.input.transpose());
        if let Some(bias) = self.bias {
            seen = seen + bias;
        }
        let seen = seen.reshape([steps, batch, GATES * hidden]);
        let recurrent = self.recurrent.transpose();
        let mut states = Vec::with_capacity(steps);
        for step in 0..steps {
            let step = if reversed { steps - 1 - step } else { step };
            let seen = seen.clone().narrow(0, step, 1).reshape([batch, GATES * hidden]);
            let gates = seen + state.matmul(recurrent.clone());
            let gate = |place: usize| gates.clone().narrow(1, place * hidden, hidden);
            let [input, forget, output] = [0, 1, 3].map(|place| activation::sigmoid(gate(place)));
            memory = forget * memory + input * gate(2).tanh();
            state = output * memory.clone().tanh();
            states.push(state.clone().reshape([1, batch, hidden]));
        }
        if reversed {
            states.reverse();
        }
        (Tensor::cat(states, 0), [state, memory])
    }
}
