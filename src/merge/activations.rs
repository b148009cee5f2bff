//! What layers of a network return on images.

use burn::tensor::Device;

use crate::{
    condition::Fitting,
    execute::execute,
    graph::{Architecture, Tensor},
    ops::Array,
    predictor::CalibrationImages,
};

/// Images that are run in one pass.
pub(super) const PASS: usize = 16;

/// What a part of the graph returns on images. Refuses with a sentence where it does not run.
pub(super) fn activations(
    fitting: &Fitting,
    part: &Architecture,
    weights: &[Option<Array>],
    images: &CalibrationImages,
    device: &Device,
) -> Result<Vec<Array>, String> {
    let input = Tensor { shape: images.shape.to_vec(), data: images.data.clone() };
    let input = [Array::upload(&input, device)];
    execute(part, fitting.registry, weights, &input, device).map_err(|error| error.to_string())
}

/// The values of each channel in a row.
pub(super) fn by_channel(values: &[f32], shape: &[usize], axis: usize) -> Vec<f32> {
    let inner: usize = shape[axis + 1..].iter().product();
    let block = shape[axis] * inner;
    let channel = |channel: usize| {
        values.chunks_exact(block).flat_map(move |it| &it[channel * inner..][..inner])
    };
    (0..shape[axis]).flat_map(channel).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activations_are_sorted_by_channel() {
        let values = [0.0, 1.0, 10.0, 11.0, 2.0, 3.0, 12.0, 13.0];
        let channels = by_channel(&values, &[2, 2, 2], 1);
        assert_eq!(channels, [0.0, 1.0, 2.0, 3.0, 10.0, 11.0, 12.0, 13.0]);
        assert_eq!(by_channel(&values[..4], &[2, 2], 1), [0.0, 10.0, 1.0, 11.0]);
    }
}
