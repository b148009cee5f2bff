//! Where the values of row-major tensors stand.

/// Steps between neighbours along each axis of a row-major tensor.
pub(super) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// Flat positions, in row-major order over `shape`, of values that lie `strides` apart.
pub(super) fn positions(shape: &[usize], strides: &[usize]) -> Vec<usize> {
    shape.iter().zip(strides).fold(vec![0], |heads, (&extent, &stride)| {
        heads.iter().flat_map(|head| (0..extent).map(move |at| head + at * stride)).collect()
    })
}

/// Flat positions of a tensor of shape `own` where it is broadcast to `shape`.
pub(super) fn spread(own: &[usize], shape: &[usize]) -> Vec<usize> {
    let lead = shape.len() - own.len();
    let mut steps = vec![0; lead];
    steps.extend(
        strides(own).into_iter().zip(own).map(|(s, &extent)| if extent == 1 { 0 } else { s }),
    );
    positions(shape, &steps)
}
