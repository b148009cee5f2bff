//! Long short-term memory (Hochreiter and Schmidhuber 1997): ONNX's operator, and one direction of it as canonical
//! graphs have it, with the tensors of PyTorch's module.

use burn::tensor::{Device, Tensor};

use crate::graph::{CANONICAL_DOMAIN, Fact, GATE_PLACES, Layout, Node, Role};

use super::{
    Array, OpError, Operator, OperatorFamily, SlotRule,
    helpers::{array, maybe},
    recurrence::{Cell, Extents, Form, GATES},
};

/// `LSTM`: x, weights, recurrent weights, biases, lengths, states, memories, peepholes; the tensors of both
/// directions are stacked.
struct Lstm;

impl Lstm {
    /// Shapes of weights, recurrent weights and biases.
    fn shapes(form: &Form, extents: Extents) -> [Vec<usize>; 3] {
        let (directions, gates) = (form.reversed.len(), GATES * extents.hidden);
        [
            vec![directions, gates, extents.features],
            vec![directions, gates, extents.hidden],
            vec![directions, 2 * gates],
        ]
    }

    /// Rows of one direction, their gates from ONNX's order (input, output, forgetting, cell) to PyTorch's.
    fn gates(stack: Tensor<3>, direction: usize) -> Tensor<2> {
        let [_, rows, columns] = stack.dims();
        let gate = rows / GATES;
        let own = stack.narrow(0, direction, 1).reshape([rows, columns]);
        let gates = GATE_PLACES.map(|place| own.clone().narrow(0, place * gate, gate));
        Tensor::cat(gates.to_vec(), 0)
    }
}

impl Operator for Lstm {
    fn op_type(&self) -> &'static str {
        "LSTM"
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Linear
    }

    fn since(&self) -> &'static [i64] {
        &[1, 7, 14, 22]
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let form = Form::of(node)?;
        for (input, what) in [(4, "sequences of several lengths"), (7, "peepholes")] {
            if inputs.get(input).is_some_and(Option::is_some) {
                return Err(OpError::Unsupported(format!("{what} (input {input})")));
            }
        }
        form.infer(node, inputs, |extents| Self::shapes(&form, extents).to_vec())
    }

    fn slots(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<SlotRule>, OpError> {
        let form = Form::of(node)?;
        let matrix = (Role::Weight, Layout::OutIn);
        let tensors = [matrix, matrix, (Role::Bias, Layout::Free)];
        form.slots(inputs, &tensors, |extents| Self::shapes(&form, extents).to_vec())
    }

    fn multiply_accumulates(&self, node: &Node, inputs: &[Option<Fact>]) -> u64 {
        Form::of(node).map_or(0, |form| form.multiply_accumulates(inputs))
    }

    fn execute(
        &self,
        node: &Node,
        inputs: &[Option<Array>],
        device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let form = Form::of(node)?;
        let (w, r) = (array(inputs, 1)?.rank::<3>(1)?, array(inputs, 2)?.rank::<3>(2)?);
        let biases = maybe(inputs, 3).map(|biases| biases.rank::<3>(3)).transpose()?;
        let extents = form.extents_of(inputs)?;
        let rows = GATES * extents.hidden;
        let cell = |direction: usize| {
            let bias = biases.clone().map(|biases| {
                let own = biases.narrow(1, direction, 1).reshape([2, rows]).sum_dim(0);
                Self::gates(own.reshape([1, rows, 1]), 0).reshape([1, rows])
            });
            let [input, recurrent] = [&w, &r].map(|it| Self::gates(it.clone(), direction));
            Cell { input, recurrent, bias }
        };
        let cells = (0..form.reversed.len()).map(cell).collect();
        form.run(inputs, extents, cells, device)
    }
}

/// One direction: x, `weight_ih`, `weight_hh`, `bias_ih`, `bias_hh`, state, memory.
struct Direction;

impl Direction {
    fn form(node: &Node) -> Result<Form, OpError> {
        let form = Form::of(node)?;
        match form.reversed {
            [_] => Ok(form),
            _ => Err(OpError::Unsupported("both directions in a node for one".to_owned())),
        }
    }

    /// Shapes of the four tensors.
    fn shapes(extents: Extents) -> [Vec<usize>; 4] {
        let Extents { features, hidden, .. } = extents;
        let gates = GATES * hidden;
        [vec![gates, features], vec![gates, hidden], vec![gates], vec![gates]]
    }
}

impl Operator for Direction {
    fn op_type(&self) -> &'static str {
        "LSTM"
    }

    fn domain(&self) -> &'static str {
        CANONICAL_DOMAIN
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Linear
    }

    fn since(&self) -> &'static [i64] {
        &[1]
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        Self::form(node)?.infer(node, inputs, |extents| Self::shapes(extents).to_vec())
    }

    fn slots(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<SlotRule>, OpError> {
        let (matrix, vector) = ((Role::Weight, Layout::OutIn), (Role::Bias, Layout::Vector));
        let tensors = [matrix, matrix, vector, vector];
        Self::form(node)?.slots(inputs, &tensors, |extents| Self::shapes(extents).to_vec())
    }

    fn multiply_accumulates(&self, node: &Node, inputs: &[Option<Fact>]) -> u64 {
        Self::form(node).map_or(0, |form| form.multiply_accumulates(inputs))
    }

    fn execute(
        &self,
        node: &Node,
        inputs: &[Option<Array>],
        device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let form = Self::form(node)?;
        let (input, recurrent) = (array(inputs, 1)?.rank::<2>(1)?, array(inputs, 2)?.rank::<2>(2)?);
        let extents = form.extents_of(inputs)?;
        let mut bias: Option<Tensor<2>> = None;
        for slot in [3, 4] {
            if let Some(own) = maybe(inputs, slot) {
                let own = own.view(slot, [1, GATES * extents.hidden])?;
                bias = Some(bias.map_or(own.clone(), |other| other + own));
            }
        }
        form.run(inputs, extents, vec![Cell { input, recurrent, bias }], device)
    }
}

/// Every operator of this family.
pub(super) fn operators() -> Vec<Box<dyn Operator>> {
    vec![Box::new(Lstm), Box::new(Direction)]
}

#[cfg(test)]
mod tests {
    use super::{super::recurrence::ACTIVATIONS, *};
    use crate::graph::{self, Attribute, Attributes};
    use approx::assert_relative_eq;

    const STEPS: usize = 3;
    const BATCH: usize = 2;
    const FEATURES: usize = 3;
    const HIDDEN: usize = 2;

    fn node(attributes: &[(&str, Attribute)]) -> Node {
        let output = |name: &str| Fact { name: name.to_owned(), ..Fact::default() };
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        Node {
            op_type: "LSTM".to_owned(),
            opset: 14,
            attributes: Attributes(attributes.collect()),
            outputs: ["y", "y_h", "y_c"].map(output).to_vec(),
            ..Node::default()
        }
    }

    /// Some numbers between −1 and 1.
    fn numbers(count: usize, seed: f32) -> Vec<f32> {
        (0..count).map(|place| (place as f32 * 1.7 + seed).sin()).collect()
    }

    fn sigmoid(x: f32) -> f32 {
        1.0 / (1.0 + (-x).exp())
    }

    /// One direction over one sequence, as the specification writes it: its states, and the last memory.
    fn by_hand(
        x: &[f32],
        [w, r, b]: [&[f32]; 3],
        [state, memory]: [&[f32]; 2],
        reversed: bool,
    ) -> (Vec<f32>, Vec<f32>) {
        let (mut state, mut memory) = (state.to_vec(), memory.to_vec());
        let mut states = vec![0.0; STEPS * HIDDEN];
        for step in 0..STEPS {
            let step = if reversed { STEPS - 1 - step } else { step };
            let x = &x[step * FEATURES..][..FEATURES];
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
            let gate = |gate: usize, unit: usize| {
                let row = gate * HIDDEN + unit;
                dot(&w[row * FEATURES..][..FEATURES], x)
                    + dot(&r[row * HIDDEN..][..HIDDEN], &state)
                    + b[row]
                    + b[GATES * HIDDEN + row]
            };
            let gates: Vec<[f32; 4]> =
                (0..HIDDEN).map(|unit| [0, 1, 2, 3].map(|it| gate(it, unit))).collect();
            for (unit, [input, output, forget, cell]) in gates.into_iter().enumerate() {
                memory[unit] = sigmoid(forget) * memory[unit] + sigmoid(input) * cell.tanh();
                state[unit] = sigmoid(output) * memory[unit].tanh();
            }
            states[step * HIDDEN..][..HIDDEN].copy_from_slice(&state);
        }
        (states, memory)
    }

    #[test]
    fn both_directions_of_batch_first_sequences_are_those_by_hand() {
        let node = node(&[
            ("direction", Attribute::String("bidirectional".to_owned())),
            ("layout", Attribute::Int(1)),
        ]);
        let shapes: [&[usize]; 6] = [
            &[BATCH, STEPS, FEATURES],
            &[2, GATES * HIDDEN, FEATURES],
            &[2, GATES * HIDDEN, HIDDEN],
            &[2, 2 * GATES * HIDDEN],
            &[BATCH, 2, HIDDEN],
            &[BATCH, 2, HIDDEN],
        ];
        let values: Vec<Vec<f32>> = (1..)
            .zip(shapes)
            .map(|(seed, shape)| numbers(shape.iter().product(), seed as f32))
            .collect();
        let device = Device::flex();
        let mut inputs: Vec<Option<Array>> = shapes
            .iter()
            .zip(&values)
            .map(|(shape, data)| graph::Tensor { shape: shape.to_vec(), data: data.clone() })
            .map(|tensor| Some(Array::upload(&tensor, &device)))
            .collect();
        inputs.insert(4, None);
        let outputs = Lstm.execute(&node, &inputs, &device).unwrap();
        let facts: Vec<Option<Fact>> =
            inputs.iter().map(|input| input.as_ref().map(Array::fact)).collect();
        for (output, fact) in outputs.iter().zip(Lstm.infer(&node, &facts).unwrap()) {
            assert_eq!(Some(output.shape()), fact.shape.as_deref());
        }
        let part = |values: &[f32], index: usize, count: usize| {
            let length = values.len() / count;
            values[index * length..][..length].to_vec()
        };
        let outputs: Vec<Vec<f32>> = outputs.iter().map(Array::download).collect();
        for batch in 0..BATCH {
            for direction in 0..2 {
                let [w, r, b] = [1, 2, 3].map(|input| part(&values[input], direction, 2));
                let own = 2 * batch + direction;
                let [h, c] = [4, 5].map(|input| part(&values[input], own, 2 * BATCH));
                let x = part(&values[0], batch, BATCH);
                let (states, memory) = by_hand(&x, [&w, &r, &b], [&h, &c], direction == 1);
                let computed: Vec<f32> = (0..STEPS)
                    .flat_map(|step| {
                        part(&outputs[0], 2 * (batch * STEPS + step) + direction, 2 * BATCH * STEPS)
                    })
                    .collect();
                assert_relative_eq!(computed[..], states[..], epsilon = 1e-5);
                let last = if direction == 1 { 0 } else { STEPS - 1 };
                let last = &states[last * HIDDEN..][..HIDDEN];
                assert_relative_eq!(
                    part(&outputs[1], own, 2 * BATCH)[..],
                    last[..],
                    epsilon = 1e-5
                );
                assert_relative_eq!(
                    part(&outputs[2], own, 2 * BATCH)[..],
                    memory[..],
                    epsilon = 1e-5
                );
            }
        }
    }

    #[test]
    fn other_forms_are_refused() {
        let text = |text: &str| Attribute::String(text.to_owned());
        let texts =
            |texts: &[&str]| Attribute::Strings(texts.iter().map(|&it| it.to_owned()).collect());
        let refused = [
            ("activations", texts(&["Sigmoid", "Relu", "Tanh"])),
            ("clip", Attribute::Float(3.0)),
            ("direction", text("sideways")),
            ("hidden_size", Attribute::Int(-1)),
            ("input_forget", Attribute::Int(1)),
            ("layout", Attribute::Int(2)),
        ];
        let x = || Some(Fact { shape: Some(vec![STEPS, BATCH, FEATURES]), ..Fact::default() });
        let known = [x(), Some(Fact::default()), Some(Fact::default())];
        for (name, value) in refused {
            let result = Lstm.infer(&node(&[(name, value)]), &known);
            assert!(matches!(result, Err(OpError::Unsupported(_))), "{name}: {result:?}");
        }
        for input in [4, 7] {
            let mut inputs = known.to_vec();
            inputs.resize(input, None);
            inputs.push(Some(Fact::default()));
            let result = Lstm.infer(&node(&[]), &inputs);
            assert!(matches!(result, Err(OpError::Unsupported(_))), "{input}: {result:?}");
        }
        let hidden = ("hidden_size", Attribute::Int(HIDDEN as i64));
        let usual = node(&[("activations", texts(&ACTIVATIONS)), hidden]);
        let facts = Lstm.infer(&usual, &known).unwrap();
        assert_eq!(facts[0].shape, Some(vec![STEPS, 1, BATCH, HIDDEN]));
        let wrong =
            [x(), Some(Fact { shape: Some(vec![1, 8, 4]), ..Fact::default() }), known[2].clone()];
        assert!(matches!(Lstm.infer(&usual, &wrong), Err(OpError::Input { input: 1, .. })));
    }
}
