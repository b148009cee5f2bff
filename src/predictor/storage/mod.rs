//! How `model.safetensors` stores the tensors of a network: each as one tensor of the same name, in half or
//! single precision, or *packed*. The packed form of a tensor, seen as a matrix with a row for every index
//! of its first axis, is two tensors:
//!
//! - `NAME`, U8, `[rows, bytes a row]`: integers of 8 · bytes / columns bits each, 2 to 8 of them, the least
//!   significant bit first. An integer n of b bits stands for the code n − 2ᵇ⁻¹.
//! - `NAME.scale`, F16, `[rows]`: a value is its code times the scale of its row.
//!
//! The number of columns is a multiple of eight, so that every row begins with a byte of its own.

mod packed;
mod read;
mod write;

pub(super) use read::{ModelFile, read};
pub(super) use write::{Tensor, compact, half};

/// What the scales of a packed tensor add to its name.
const SCALE: &str = ".scale";

/// Rows and columns of a tensor; a vector is a column.
fn matrix(shape: &[usize]) -> [usize; 2] {
    match shape {
        [] => [1, 1],
        [rows, row @ ..] => [*rows, row.iter().product()],
    }
}

#[cfg(test)]
mod tests;
