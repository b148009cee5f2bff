//! Whether training learns a tensor, where the operator that reads it does not tell. What the network does with
//! it before it meets the image does.

use std::collections::{HashMap, HashSet};

use crate::graph::{Architecture, NodeIndex, Operand, ParameterId};

/// Operators that hand values on as they are.
const RESHAPED: [&str; 3] = ["Identity", "Reshape", "Unsqueeze"];

/// Who reads what in an architecture.
pub(super) struct Readers<'a> {
    architecture: &'a Architecture,
    of: HashMap<Operand, Vec<(NodeIndex, usize)>>,
}

impl<'a> Readers<'a> {
    pub fn of(architecture: &'a Architecture) -> Self {
        let mut of: HashMap<Operand, Vec<(NodeIndex, usize)>> = HashMap::new();
        for &index in &architecture.order {
            for (input, &operand) in architecture.dag[index].inputs.iter().enumerate() {
                of.entry(operand).or_default().push((index, input));
            }
        }
        Self { architecture, of }
    }

    /// Whether the network computes with the exponential of a tensor, perhaps within bounds. A constant would be
    /// stored as the number that it is, not as its logarithm.
    pub fn is_logarithm(&self, id: ParameterId) -> bool {
        let bounds = ["Cast", "CastLike", "Clip", "Identity", "Max", "Min"];
        let readers = self.behind(Operand::Parameter(id), &bounds);
        readers.iter().any(|reader| self.op_type(reader) == "Exp")
    }

    /// Whether a tensor is a table of coordinates: its values lie on a grid, and only layers read it, as their
    /// data. Learned tokens are read in the same way, but are all different, or all equal in a fresh network.
    pub fn is_grid(&self, id: ParameterId) -> bool {
        let readers = self.behind(Operand::Parameter(id), &RESHAPED);
        let data = |&(node, input): &(NodeIndex, usize)| {
            let node = &self.architecture.dag[node];
            let layer = ["Conv", "Gemm", "MatMul"].contains(&node.op_type.as_str());
            layer && input == 0 && node.inputs.get(1).is_some_and(|&it| self.is_parameter(it))
        };
        !readers.is_empty() && readers.iter().all(data) && {
            let value = self.architecture.parameters[id.0].value.as_ref();
            value.is_some_and(|value| on_grid(&value.data))
        }
    }

    /// Whether the network asks what the values of a tensor are, as it does of the regions that windows are masked by.
    /// No gradient passes through a comparison.
    pub fn is_compared(&self, id: ParameterId) -> bool {
        let relations = ["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"];
        let readers = self.behind(Operand::Parameter(id), &RESHAPED);
        readers.iter().any(|reader| relations.contains(&self.op_type(reader)))
    }

    /// Whether a tensor is an attention mask: it is only added to scores, says of each whether it counts, and is the
    /// same for all heads. A fresh bias of relative positions may be all zeros, too, but has one for each head.
    pub fn is_mask(&self, id: ParameterId) -> bool {
        let Some(value) = &self.architecture.parameters[id.0].value else { return false };
        let for_all_heads = value.shape.iter().nth_back(2).is_none_or(|&heads| heads == 1);
        let masks = value.data.iter().any(|value| *value != 0.0);
        if !value.is_mask() || !(masks || for_all_heads) {
            return false;
        }
        let readers = self.behind(Operand::Parameter(id), &RESHAPED);
        let added = |reader: &(NodeIndex, usize)| {
            let sum = Operand::Node { node: reader.0, slot: 0 };
            let readers = self.behind(sum, &["Add", "Cast", "Reshape"]);
            self.op_type(reader) == "Add"
                && !readers.is_empty()
                && readers.iter().all(|it| self.op_type(it) == "Softmax")
        };
        !readers.is_empty() && readers.iter().all(added)
    }

    /// What reads a value there.
    fn op_type(&self, &(node, _): &(NodeIndex, usize)) -> &str {
        &self.architecture.dag[node].op_type
    }

    /// The inputs that read a value, perhaps through some operators.
    fn behind(&self, operand: Operand, through: &[&str]) -> Vec<(NodeIndex, usize)> {
        let (mut found, mut waiting) = (Vec::new(), vec![operand]);
        let mut seen = HashSet::new();
        while let Some(operand) = waiting.pop() {
            for &(node, input) in self.of.get(&operand).map_or(&[][..], Vec::as_slice) {
                if !through.contains(&self.architecture.dag[node].op_type.as_str()) {
                    found.push((node, input));
                } else if seen.insert(node) {
                    waiting.push(Operand::Node { node, slot: 0 });
                }
            }
        }
        found
    }

    /// Whether a value is a parameter, perhaps turned or by another name.
    fn is_parameter(&self, mut operand: Operand) -> bool {
        while let Operand::Node { node, .. } = operand {
            let node = &self.architecture.dag[node];
            let same = ["Identity", "Transpose"].contains(&node.op_type.as_str());
            operand = node.inputs.first().copied().filter(|_| same).unwrap_or(Operand::Absent);
        }
        matches!(operand, Operand::Parameter(_))
    }
}

/// Whether values repeat, without being all equal.
fn on_grid(values: &[f32]) -> bool {
    let distinct: HashSet<u32> = values.iter().map(|value| value.to_bits()).collect();
    distinct.len() > 1 && 2 * distinct.len() <= values.len()
}

#[cfg(test)]
mod tests {
    use super::on_grid;

    #[test]
    fn coordinates_repeat() {
        assert!(on_grid(&[-1.0, -1.0, -1.0, 0.0, -1.0, 1.0, 0.0, -1.0, 0.0, 0.0]));
        assert!(!on_grid(&[0.0; 8]));
        assert!(!on_grid(&[0.1, 0.2, 0.3, 0.4]));
        assert!(!on_grid(&[]));
    }
}
