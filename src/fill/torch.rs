//! How PyTorch stores a tensor.

use crate::graph::{Layout, Parameter, Role};

/// Whether PyTorch stores a tensor transposed: matrices that the file keeps `[in, out]`.
pub(super) fn is_transposed(tensor: &Parameter) -> bool {
    let matrix = tensor.shape.as_ref().is_some_and(|shape| shape.len() == 2);
    let slot = tensor.slots.first();
    matrix && slot.is_some_and(|slot| slot.role == Role::Weight && slot.layout == Layout::InOut)
}

/// Extents that PyTorch gives a tensor of some name; `None` where they are not known. What an exporter
/// reshaped to broadcast over an image, it named anew.
pub(super) fn torch_shape(tensor: &Parameter, name: &str) -> Option<Vec<usize>> {
    let mut shape = tensor.shape.clone()?;
    let vector = matches!(tensor.role(), Some(Role::Slope | Role::Gain | Role::Shift))
        && shape.iter().filter(|&&extent| extent != 1).count() <= 1;
    if vector && name != tensor.name {
        shape = vec![shape.iter().product()];
    } else if is_transposed(tensor) {
        shape.reverse();
    }
    Some(shape)
}
