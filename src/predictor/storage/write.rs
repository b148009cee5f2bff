//! From values to what is stored.

use half::f16;
use safetensors::Dtype;

use crate::{
    neural::{Entry, OUTPUTS, output_scale},
    onnx::safetensors::Entry as Stored,
};

use super::{
    SCALE, matrix,
    packed::{GROUP, pack, scale},
};

/// Beginning of the names of the layers that read noisy patches; sampling in one step does without.
const READERS: &str = "conditioner.patches.";
/// Beginnings of the names of the output layers of convolutions with a window and of 1 × 1 convolutions and linear
/// layers, which are more than half of a predictor, and that of the images that it learned.
const MANY: [&str; 3] = ["outputs.1.", "outputs.2.", "calibration"];
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
    let [rows, columns] = matrix(&entry.shape);
    if columns < FEWEST_COLUMNS || !columns.is_multiple_of(GROUP) {
        return Some(vec![half(entry, values)]);
    }
    let bits = bits(&entry.name, rows, values);
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

/// Bits of the values of a tensor: as few as cost no accuracy (`benches/results/storage.json`).
fn bits(name: &str, rows: usize, values: &[f32]) -> usize {
    let untrained = name.starts_with(OUTPUTS) && is_untrained(rows, values);
    match () {
        () if name.starts_with(READERS) || untrained => 4,
        () if MANY.iter().any(|family| name.starts_with(family)) => 6,
        () => 8,
    }
}

/// Whether an output layer is no larger than it started. Training makes those that it reaches several times
/// as large, and weight decay shrinks the others: rows of classifiers beyond the sixteenth class.
fn is_untrained(rows: usize, values: &[f32]) -> bool {
    let squares = values.iter().map(|value| value * value).sum::<f32>();
    (squares / values.len() as f32).sqrt() < output_scale(rows)
}
