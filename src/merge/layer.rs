//! Linear layers of a graph: where the channels of activations are made.

use petgraph::Direction;

use crate::{
    graph::{
        Architecture, Layout, NodeIndex, Operand, ParameterId, Role, Slot, Weights, transpose,
    },
    kernels::Step,
    ops::Registry,
};

/// A convolution or matrix that nothing shares.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub node: NodeIndex,
    pub weight: ParameterId,
    pub bias: Option<ParameterId>,
    /// Axis of the channels that it makes, in its weight.
    pub axis: usize,
    /// Axis of these channels in what it returns.
    pub channel_axis: usize,
    shape: Vec<usize>,
}

impl Layer {
    /// All of them, in the order of the graph.
    pub fn all(architecture: &Architecture, registry: &Registry) -> Vec<Self> {
        let of = |&node: &NodeIndex| Self::of(architecture, registry, node);
        architecture.order.iter().filter_map(of).collect()
    }

    fn of(architecture: &Architecture, registry: &Registry, node: NodeIndex) -> Option<Self> {
        let step = registry.step(architecture, &architecture.dag[node])?;
        if !matches!(step, Step::Conv2d { .. } | Step::Linear { .. } | Step::MatMul) {
            return None;
        }
        let parameter = |role: Role| -> Option<(ParameterId, &Slot)> {
            architecture.dag[node].inputs.iter().find_map(|operand| {
                let &Operand::Parameter(id) = operand else { return None };
                let [slot] = &architecture.parameters[id.0].slots[..] else { return None };
                (slot.node == node && slot.role == role && slot.view.is_none())
                    .then_some((id, slot))
            })
        };
        let (weight, slot) = parameter(Role::Weight)?;
        let shape = architecture.parameters[weight.0].shape.clone()?;
        let axis = match (slot.layout, shape.len()) {
            (Layout::OutIn, _) => 0,
            (Layout::InOut, 2) => 1,
            _ => return None,
        };
        let output = architecture.dag[node].outputs.first()?.shape.as_ref()?;
        let convolves = matches!(step, Step::Conv2d { .. });
        let channel_axis = if convolves { 1 } else { output.len().checked_sub(1)? };
        let bias = parameter(Role::Bias).map(|(id, _)| id);
        (output.get(channel_axis) == shape.get(axis)).then_some(Self {
            node,
            weight,
            bias,
            axis,
            channel_axis,
            shape,
        })
    }

    /// Extents of its weight.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Its weight as a matrix, a row for each channel that it makes.
    pub fn matrix(&self, weights: &Weights) -> Vec<f32> {
        let values = weights.get(self.weight).unwrap_or_default();
        match self.axis {
            0 => values.to_vec(),
            _ => transpose(values, [values.len() / self.channels().max(1), self.channels()]),
        }
    }

    /// Sets the weight to such a matrix.
    pub fn set_matrix(&self, weights: &mut Weights, matrix: Vec<f32>) {
        let columns = matrix.len() / self.channels().max(1);
        let values = match self.axis {
            0 => matrix,
            _ => transpose(&matrix, [self.channels(), columns]),
        };
        weights.set(self.weight, values);
    }

    /// Channels that it makes.
    pub fn channels(&self) -> usize {
        self.shape[self.axis]
    }

    /// The channel that a value of the weight makes.
    fn channel(&self, place: usize) -> usize {
        let inner: usize = self.shape[self.axis + 1..].iter().product();
        place / inner.max(1) % self.channels()
    }

    /// Norm of the weights that make each channel.
    pub fn norms(&self, weights: &Weights) -> Vec<f64> {
        let mut squares = vec![0.0; self.channels()];
        for (place, &value) in weights.get(self.weight).unwrap_or_default().iter().enumerate() {
            squares[self.channel(place)] += f64::from(value).powi(2);
        }
        squares.into_iter().map(f64::sqrt).collect()
    }

    /// Multiplies each channel by a factor and adds a constant, in weight and bias.
    pub fn transform(&self, weights: &mut Weights, factors: &[f32], constants: &[f32]) {
        if let Some(values) = weights.get_mut(self.weight) {
            for (place, value) in values.iter_mut().enumerate() {
                *value *= factors[self.channel(place)];
            }
        }
        if let Some(values) = self.bias.and_then(|bias| weights.get_mut(bias)) {
            for ((value, factor), constant) in values.iter_mut().zip(factors).zip(constants) {
                *value = *value * factor + constant;
            }
        }
    }
}

/// Who reads a node, once for each time.
pub(super) fn readers(architecture: &Architecture, node: NodeIndex) -> Vec<NodeIndex> {
    architecture.dag.neighbors_directed(node, Direction::Outgoing).collect()
}
