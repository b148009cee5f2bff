//! Tensors with equal values: what training tied. Fresh gains and shifts are equal, too, but all of one
//! number, which says nothing.

use std::collections::HashMap;

use crate::onnx::OnnxError;

use super::{
    super::{ParameterId, Tensor, Twins},
    Reader,
};

/// What equal tensors share in whatever order their values stand: how many there are and a sum over
/// their bits.
type Key = (usize, u64);

impl Reader<'_> {
    /// Finds parameters with equal values and shapes, or transposed ones.
    pub(super) fn twins(&mut self) -> Result<(), OnnxError> {
        let mut by_length: HashMap<usize, Vec<ParameterId>> = HashMap::new();
        for (index, parameter) in self.architecture.parameters.iter().enumerate() {
            let id = ParameterId(index);
            if parameter.dtype.is_float() && self.architecture.holds_value(id) {
                by_length.entry(parameter.len().unwrap_or(0)).or_default().push(id);
            }
        }
        let mut groups: HashMap<Key, Vec<ParameterId>> = HashMap::new();
        for (length, ids) in
            by_length.into_iter().filter(|(length, ids)| *length > 1 && ids.len() > 1)
        {
            for id in ids {
                let Some(value) = self.architecture.value_in(self.model, id)? else { continue };
                if value.data.iter().any(|other| *other != value.data[0]) {
                    groups.entry((length, sum_of_bits(&value))).or_default().push(id);
                }
            }
        }
        let mut found = Vec::new();
        for mut ids in groups.into_values().filter(|ids| ids.len() > 1) {
            ids.sort_unstable();
            let (first, others) = (ids[0], &ids[1..]);
            let Some(value) = self.architecture.value_in(self.model, first)? else { continue };
            for &second in others {
                let Some(other) = self.architecture.value_in(self.model, second)? else { continue };
                let transposed = value != other;
                if !transposed || is_transpose(&value, &other) {
                    found.push(Twins { first, second, transposed });
                }
            }
        }
        found.sort_unstable_by_key(|twins| twins.second);
        self.architecture.twins = found;
        Ok(())
    }
}

fn sum_of_bits(tensor: &Tensor) -> u64 {
    let mixed = |value: &f32| u64::from(value.to_bits()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    tensor.data.iter().map(|value| mixed(value) ^ (mixed(value) >> 29)).fold(0, u64::wrapping_add)
}

fn is_transpose(tensor: &Tensor, other: &Tensor) -> bool {
    let &[rows, columns] = tensor.shape.as_slice() else { return false };
    let at = |row: usize, column: usize| other.data[column * rows + row];
    let equal = |row: usize| {
        (0..columns).all(|column| tensor.data[row * columns + column] == at(row, column))
    };
    other.shape == [columns, rows] && (0..rows).all(equal)
}
