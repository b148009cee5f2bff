//! What a graph is, whatever its values are called and whatever order its nodes are listed in: a
//! Weisfeiler–Lehman fingerprint (Weisfeiler and Leman 1968, Shervashidze et al. 2011).
//!
//! Operators and parameters carry labels. A sweep in topological order mixes into the label of every
//! operator those of what it reads, slot by slot; a sweep back mixes in those of its readers. So a
//! label has seen all of the graph that lies before and behind it, which any number of the usual
//! rounds of neighbours would not add to. Two double sweeps tell apart what a first one leaves equal.

use sha2::{Digest, Sha256};

use crate::onnx::leading;

use super::{Architecture, Attribute, Attributes, Constant, Operand};

/// Double sweeps over the graph.
const SWEEPS: usize = 2;

impl Architecture {
    /// A number that isomorphic graphs share and others almost surely do not. It covers operators,
    /// attributes, constants, shapes of inputs and parameters (so call it once the architecture is
    /// resolved), ties between parameters, and which output feeds which input slot; neither names nor
    /// the order of nodes, opset versions or values of parameters. The same on every machine.
    pub fn fingerprint(&self) -> u64 {
        let mut labels = Labels::new(self);
        for _ in 0..SWEEPS {
            labels.sweep_down();
            labels.sweep_up();
        }
        labels.all()
    }
}

/// The labels of all vertices.
struct Labels<'a> {
    architecture: &'a Architecture,
    nodes: Vec<u64>,
    parameters: Vec<u64>,
    /// Those of inputs and constants never change.
    inputs: Vec<u64>,
    constants: Vec<u64>,
}

impl<'a> Labels<'a> {
    fn new(architecture: &'a Architecture) -> Self {
        // Nodes are never removed, so that indices are dense.
        let mut nodes = vec![0; architecture.dag.node_count()];
        for index in architecture.dag.node_indices() {
            let node = &architecture.dag[index];
            let mut label = Label::new("node").text(&node.domain).text(&node.op_type);
            label = label.number(node.outputs.len() as u64).attributes(&node.attributes);
            nodes[index.index()] = label.finish();
        }
        let shaped = |kind, shape: Option<&[usize]>| Label::new(kind).shape(shape).finish();
        let parameters = architecture.parameters.iter();
        let inputs = architecture.inputs.iter().enumerate();
        Self {
            architecture,
            nodes,
            parameters: parameters.map(|it| shaped("parameter", it.shape.as_deref())).collect(),
            inputs: inputs
                .map(|(index, input)| {
                    let label = Label::new("input").number(index as u64);
                    label.shape(input.shape.as_deref()).finish()
                })
                .collect(),
            constants: architecture
                .constants
                .iter()
                .map(|(_, value)| Label::new("constant").constant(value).finish())
                .collect(),
        }
    }

    fn of(&self, operand: Operand) -> u64 {
        let known = |labels: &[u64], index: usize| labels.get(index).copied().unwrap_or_default();
        match operand {
            Operand::Absent => 0,
            Operand::Input(index) => known(&self.inputs, index),
            Operand::Parameter(id) => known(&self.parameters, id.0),
            Operand::Constant(index) => known(&self.constants, index),
            Operand::Node { node, slot } => {
                let label = Label::new("output").number(known(&self.nodes, node.index()));
                label.number(slot as u64).finish()
            }
        }
    }

    /// What a node reads becomes part of its label.
    fn sweep_down(&mut self) {
        for &index in &self.architecture.order {
            let inputs = &self.architecture.dag[index].inputs;
            let label = Label::new("reads").number(self.nodes[index.index()]);
            let label = inputs.iter().fold(label, |label, &input| label.number(self.of(input)));
            self.nodes[index.index()] = label.finish();
        }
    }

    /// Where a node or a parameter is read becomes part of its label.
    fn sweep_up(&mut self) {
        let mut readers = vec![Vec::new(); self.nodes.len()];
        let mut parameter_readers = vec![Vec::new(); self.parameters.len()];
        for (place, &(_, output)) in self.architecture.outputs.iter().enumerate() {
            if let Operand::Node { node, slot } = output {
                let returned = Label::new("returned").number(place as u64).number(slot as u64);
                readers[node.index()].push(returned.finish());
            }
        }
        for &index in self.architecture.order.iter().rev() {
            // All readers of a node stand behind it, so that its label is final by now.
            let label = self.nodes[index.index()];
            let label = Label::new("read by").number(label).set(&mut readers[index.index()]);
            self.nodes[index.index()] = label.finish();
            for (place, &input) in self.architecture.dag[index].inputs.iter().enumerate() {
                let reader = Label::new("read").number(self.nodes[index.index()]);
                let reader = reader.number(place as u64);
                match input {
                    Operand::Node { node, slot } => {
                        readers[node.index()].push(reader.number(slot as u64).finish());
                    }
                    Operand::Parameter(id) => parameter_readers[id.0].push(reader.finish()),
                    Operand::Absent | Operand::Input(_) | Operand::Constant(_) => {}
                }
            }
        }
        for (label, readers) in self.parameters.iter_mut().zip(&mut parameter_readers) {
            *label = Label::new("read by").number(*label).set(readers).finish();
        }
    }

    fn all(mut self) -> u64 {
        let outputs: Vec<u64> =
            self.architecture.outputs.iter().map(|&(_, output)| self.of(output)).collect();
        let label = Label::new("graph").set(&mut self.nodes).set(&mut self.parameters);
        let label = label.set(&mut self.inputs);
        outputs.into_iter().fold(label, Label::number).finish()
    }
}

/// A label in the making. Every part is tagged or counted, so that parts never run together.
struct Label(Sha256);

impl Label {
    fn new(kind: &str) -> Self {
        Self(Sha256::new()).text(kind)
    }

    fn number(mut self, number: u64) -> Self {
        self.0.update(number.to_le_bytes());
        self
    }

    fn numbers(self, numbers: impl ExactSizeIterator<Item = u64>) -> Self {
        let counted = self.number(numbers.len() as u64);
        numbers.fold(counted, Self::number)
    }

    /// Numbers in whatever order.
    fn set(self, numbers: &mut [u64]) -> Self {
        numbers.sort_unstable();
        self.numbers(numbers.iter().copied())
    }

    fn text(self, text: &str) -> Self {
        let mut counted = self.number(text.len() as u64);
        counted.0.update(text);
        counted
    }

    fn shape(self, shape: Option<&[usize]>) -> Self {
        let label = self.number(u64::from(shape.is_some()));
        label.numbers(shape.unwrap_or_default().iter().map(|&extent| extent as u64))
    }

    fn floats(self, values: &[f32]) -> Self {
        self.numbers(values.iter().map(|value| u64::from(value.to_bits())))
    }

    fn ints(self, values: &[i64]) -> Self {
        self.numbers(values.iter().map(|&value| value as u64))
    }

    fn constant(self, value: &Constant) -> Self {
        let label = self.shape(Some(value.shape()));
        match value {
            Constant::Float(tensor) => label.text("float").floats(&tensor.data),
            Constant::Int { data, .. } => label.text("int").ints(data),
        }
    }

    fn attributes(self, Attributes(attributes): &Attributes) -> Self {
        attributes.iter().fold(self.number(attributes.len() as u64), |label, (name, value)| {
            let label = label.text(name);
            match value {
                Attribute::Int(value) => label.text("int").ints(&[*value]),
                Attribute::Float(value) => label.text("float").floats(&[*value]),
                Attribute::String(value) => label.text("string").text(value),
                Attribute::Ints(values) => label.text("ints").ints(values),
                Attribute::Floats(values) => label.text("floats").floats(values),
                Attribute::Strings(values) => {
                    let label = label.text("strings").number(values.len() as u64);
                    values.iter().fold(label, |label, value| label.text(value))
                }
                Attribute::Tensor(value) => label.text("tensor").constant(value),
                Attribute::Other(kind) => label.text("other").text(kind),
            }
        })
    }

    fn finish(self) -> u64 {
        leading(&self.0.finalize())
    }
}
