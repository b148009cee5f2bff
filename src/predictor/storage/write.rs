//! From values to what is stored.

use half::f16;
use safetensors::Dtype;

use crate::{neural::Entry, onnx::safetensors::Entry as Stored};

use super::{
    SCALE,
    packed::{GROUP, pack, scale},
};

/// Bits of the packed values of some tensors, by the beginning of their names. Output layers average over
/// hundreds of inputs, and readers of noisy patches are not used in one pass.
const BITS: [(&str, usize); 2] = [("outputs.", 6), ("conditioner.patches.", 4)];
/// Bits of all others.
const USUAL_BITS: usize = 8;
/// Columns below which a scale costs too much.
const FEWEST_COLUMNS: usize = 32;

/// A tensor as it is stored.
pub(in super::super) struct Tensor {
    pub(super) name: String,
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    pub(super) data: Vec<u8>,
}

impl From<Tensor> for Stored<'_> {
    fn from(tensor: Tensor) -> Self {
        Stored::new(tensor.name, tensor.dtype, tensor.shape, tensor.data)
    }
}

/// A tensor in half precision.
pub(in super::super) fn half(entry: &Entry, values: &[f32]) -> Tensor {
    let data = values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect();
    Tensor { name: entry.name.clone(), dtype: Dtype::F16, shape: entry.shape.clone(), data }
}

/// A tensor in as few bytes as its accuracy allows: packed if it has long rows, else in half precision.
/// `None` if that cannot hold a value.
pub(in super::super) fn compact(entry: &Entry, values: &[f32]) -> Option<Vec<Tensor>> {
    let rows = entry.shape.first().copied().unwrap_or(1);
    let columns = entry.len() / rows.max(1);
    if columns < FEWEST_COLUMNS || columns % GROUP != 0 || entry.shape.len() < 2 {
        return Some(vec![half(entry, values)]);
    }
    let special = BITS.into_iter().find(|(beginning, _)| entry.name.starts_with(beginning));
    let bits = special.map_or(USUAL_BITS, |(_, bits)| bits);
    let (mut codes, mut scales) = (Vec::new(), Vec::new());
    for row in values.chunks_exact(columns) {
        let scale = scale(row, bits)?;
        pack(row, scale, bits, &mut codes);
        scales.extend(scale.to_le_bytes());
    }
    let codes = Tensor {
        name: entry.name.clone(),
        dtype: Dtype::U8,
        shape: vec![rows, columns / GROUP * bits],
        data: codes,
    };
    let name = format!("{}{SCALE}", entry.name);
    Some(vec![Tensor { name, dtype: Dtype::F16, shape: vec![rows], data: scales }, codes])
}
