//! Moving numbers between the host and a burn device.

use burn::tensor::{Device, Tensor, TensorData};

/// Uploads row-major values.
pub(crate) fn upload<const D: usize>(
    values: Vec<f32>,
    shape: [usize; D],
    device: &Device,
) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Downloads a tensor as `f32`, row-major.
///
/// # Panics
/// If the device fails while computing the tensor, which burn reports only here.
pub(crate) fn download<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data_as::<f32>().try_into_vec::<f32>().expect("converted to f32 on this line")
}
