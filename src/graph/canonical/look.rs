//! What a rewrite sees of the graph.

use std::collections::HashSet;

use super::{
    super::{Constant, Node, NodeIndex, Operand, Parameter, ParameterId},
    edit::Editor,
    permutation,
};

impl Editor<'_> {
    pub fn node(&self, index: NodeIndex) -> &Node {
        &self.architecture.dag[index]
    }

    /// In which order a `Transpose` takes the axes of its input.
    pub fn order_of_axes(&self, index: NodeIndex) -> Option<Vec<usize>> {
        if !self.is(index, "Transpose") {
            return None;
        }
        let given = self.node(index).attributes.ints("perm").ok()?;
        let rank = match given {
            Some(order) => order.len(),
            None => self.shape(self.input(index, 0))?.len(),
        };
        permutation::given(given, rank)
    }

    /// All nodes, in no particular order.
    pub fn node_weights(&self) -> impl Iterator<Item = &Node> {
        self.architecture.dag.node_weights()
    }

    /// Whether a node is the operator of the default domain.
    pub fn is(&self, index: NodeIndex, op_type: &str) -> bool {
        let node = self.node(index);
        node.domain.is_empty() && node.op_type == op_type
    }

    /// An input of a node; absent where it has no such input.
    pub fn input(&self, index: NodeIndex, slot: usize) -> Operand {
        self.node(index).inputs.get(slot).copied().unwrap_or(Operand::Absent)
    }

    /// The node that makes a value as its first output, if it is the operator of the default domain.
    pub fn made_by(&self, operand: Operand, op_type: &str) -> Option<NodeIndex> {
        match operand {
            Operand::Node { node, slot: 0 } if self.is(node, op_type) => Some(node),
            _ => None,
        }
    }

    /// Extents of a value, if they are known.
    pub fn shape(&self, operand: Operand) -> Option<&[usize]> {
        let architecture = &*self.architecture;
        match operand {
            Operand::Absent => None,
            Operand::Input(index) => architecture.inputs.get(index)?.shape.as_deref(),
            Operand::Node { node, slot } => {
                architecture.dag[node].outputs.get(slot)?.shape.as_deref()
            }
            Operand::Parameter(id) => architecture.parameters[id.0].shape.as_deref(),
            Operand::Constant(index) => Some(architecture.constants[index].1.shape()),
        }
    }

    /// A value that is known before the network runs.
    pub fn value(&self, operand: Operand) -> Option<&Constant> {
        match operand {
            Operand::Node { node, slot } => self.node(node).outputs.get(slot)?.value.as_ref(),
            Operand::Constant(index) => Some(&self.architecture.constants[index].1),
            _ => None,
        }
    }

    /// A single number that is known before the network runs, whatever the rank of its tensor.
    pub fn number(&self, operand: Operand) -> Option<f32> {
        match self.value(operand)? {
            Constant::Float(tensor) => <[f32; 1]>::try_from(&tensor.data[..]).ok().map(|[it]| it),
            Constant::Int { data, .. } => {
                <[i64; 1]>::try_from(&data[..]).ok().map(|[it]| it as f32)
            }
        }
    }

    /// Whether all values of a tensor are one number; not where the file holds no values.
    pub fn is_filled(&self, operand: Operand, number: f32) -> bool {
        let values = match operand {
            Operand::Parameter(id) => self.architecture.parameters[id.0].value.as_ref(),
            _ => match self.value(operand) {
                Some(Constant::Float(tensor)) => Some(tensor),
                _ => None,
            },
        };
        values.is_some_and(|values| values.data.iter().all(|value| *value == number))
    }

    /// Integers that are known before the network runs.
    pub fn ints(&self, operand: Operand) -> Option<&[i64]> {
        self.value(operand)?.ints()
    }

    /// Integers as an input that is known or, where there is none, as an attribute.
    pub fn given(&self, index: NodeIndex, slot: usize, name: &str) -> Option<Vec<i64>> {
        match self.input(index, slot) {
            Operand::Absent => self.node(index).attributes.ints(name).ok()?.map(<[i64]>::to_vec),
            operand => self.ints(operand).map(<[i64]>::to_vec),
        }
    }

    /// Whether a list of integers is one number over and over, or left out.
    pub fn is_all(&self, index: NodeIndex, name: &str, number: i64) -> bool {
        let given = self.node(index).attributes.ints(name).ok().flatten();
        given.is_none_or(|values| values.iter().all(|&value| value == number))
    }

    /// The parameter that an operand is.
    pub fn parameter(&self, operand: Operand) -> Option<ParameterId> {
        match operand {
            Operand::Parameter(id) => Some(id),
            _ => None,
        }
    }

    /// Whether nothing reads a node, nor does the graph return what it makes.
    pub fn is_dead(&self, node: NodeIndex) -> bool {
        (0..self.node(node).outputs.len())
            .map(|slot| Operand::Node { node, slot })
            .all(|output| self.readers(output).is_empty() && !self.is_returned(output))
    }

    /// Whether an input of the graph reaches a value.
    pub fn follows_input(&self, operand: Operand) -> bool {
        let mut seen = HashSet::new();
        let mut waiting = vec![operand];
        while let Some(operand) = waiting.pop() {
            match operand {
                Operand::Input(_) => return true,
                Operand::Node { node, .. } if seen.insert(node) => {
                    waiting.extend(&self.node(node).inputs);
                }
                _ => {}
            }
        }
        false
    }

    /// Whether the graph returns a value.
    pub fn is_returned(&self, operand: Operand) -> bool {
        self.architecture.outputs.iter().any(|(_, output)| *output == operand)
    }

    /// Whether a parameter is to become one with another.
    pub fn is_twin(&self, id: ParameterId) -> bool {
        self.architecture.twins.iter().any(|twins| twins.first == id || twins.second == id)
    }

    /// Whether a parameter is a tensor of floats that the file stores as it is, and that stays apart from
    /// others.
    pub fn is_plain(&self, id: ParameterId) -> bool {
        self.architecture.parameters[id.0].dtype.is_float()
            && !self.is_twin(id)
            && self.architecture.storage_of(id).is_none()
    }

    /// A name that nothing in the graph has: the one given, or that with a number.
    pub fn free_name(&self, name: &str) -> String {
        let architecture = &*self.architecture;
        let taken = |name: &str| {
            architecture.parameters.iter().any(|other| other.name == name)
                || architecture
                    .dag
                    .node_weights()
                    .flat_map(|it| &it.outputs)
                    .any(|it| it.name == name)
        };
        let numbered = (1..).map(|number| format!("{name}_{number}"));
        std::iter::once(name.to_owned()).chain(numbered).find(|it| !taken(it)).unwrap_or_default()
    }

    /// The constant of the file that a value is, perhaps by another name.
    pub fn renamed_constant(&self, mut operand: Operand) -> Option<Operand> {
        while let Some(node) = self.made_by(operand, "Identity") {
            operand = self.input(node, 0);
        }
        matches!(operand, Operand::Constant(_)).then_some(operand)
    }

    /// A parameter, or a constant that the file stores by a name, as a tensor of the file.
    pub fn tensor(&self, operand: Operand) -> Option<Parameter> {
        match operand {
            Operand::Parameter(id) => Some(self.architecture.parameters[id.0].clone()),
            Operand::Constant(index) => {
                let (name, Constant::Float(value)) = &self.architecture.constants[index] else {
                    return None;
                };
                (!name.is_empty()).then(|| Parameter {
                    name: name.clone(),
                    shape: Some(value.shape.clone()),
                    value: Some(value.clone()),
                    ..Parameter::default()
                })
            }
            _ => None,
        }
    }

    /// The two inputs of a node in both orders, for operators that do not mind.
    pub fn both_ways(&self, index: NodeIndex) -> [(Operand, Operand); 2] {
        let (first, second) = (self.input(index, 0), self.input(index, 1));
        [(first, second), (second, first)]
    }

    /// The inputs that read a value.
    pub fn readers(&self, operand: Operand) -> &[(NodeIndex, usize)] {
        self.readers.get(&operand).map_or(&[], Vec::as_slice)
    }

    /// The only input that reads a value, if there is one only and the graph does not return it.
    pub fn only_reader(&self, operand: Operand) -> Option<(NodeIndex, usize)> {
        match self.readers(operand) {
            &[reader] if !self.is_returned(operand) => Some(reader),
            _ => None,
        }
    }
}
