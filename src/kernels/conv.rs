//! Dense and grouped convolution as matrix products. Activations are `[C][N][H][W]`.

use super::{
    elementwise::sum,
    gemm::{View, multiply},
    scratch::Scratch,
};

/// Values in a column buffer: small enough to stay in the second-level cache.
const COLUMNS: usize = 96 * 1024;

/// Geometry of a convolution over one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvShape {
    /// Images.
    pub batch: usize,
    /// Input channels, height, width.
    pub input: [usize; 3],
    /// Output channels, height, width.
    pub output: [usize; 3],
    /// Window.
    pub kernel: [usize; 2],
    /// Strides.
    pub stride: [usize; 2],
    /// Dilations.
    pub dilation: [usize; 2],
    /// Pads at top and left (those at bottom and right follow from the output).
    pub pad: [usize; 2],
    /// Channel groups.
    pub groups: usize,
}

impl ConvShape {
    fn pointwise(&self) -> bool {
        self.kernel == [1, 1] && self.stride == [1, 1] && self.input[1..] == self.output[1..]
    }

    /// Rows of the column matrix of one group.
    fn depth(&self) -> usize {
        self.input[0] / self.groups * self.kernel[0] * self.kernel[1]
    }

    fn pixels(&self) -> usize {
        self.output[1] * self.output[2]
    }

    /// Images per column buffer.
    fn images_at_once(&self) -> usize {
        (COLUMNS / (self.depth() * self.pixels()).max(1)).clamp(1, self.batch.max(1))
    }
}

/// `out = x ∗ weight + bias`; weight `[O, I / groups, kh, kw]`.
pub fn forward(
    shape: &ConvShape,
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    out: &mut [f32],
    scratch: &mut Scratch,
) {
    let (batch, pixels, depth) = (shape.batch, shape.pixels(), shape.depth());
    let rows = shape.output[0] / shape.groups;
    let channels = shape.input[0] / shape.groups;
    let row_length = batch * pixels;
    let plane = shape.input[1] * shape.input[2];
    for group in 0..shape.groups {
        let weight = View::rows(&weight[group * rows * depth..][..rows * depth], depth);
        let x = &x[group * channels * batch * plane..][..channels * batch * plane];
        let out = &mut out[group * rows * row_length..][..rows * row_length];
        if shape.pointwise() {
            let x = View::rows(x, row_length);
            multiply([rows, row_length, depth], weight, x, out, row_length, false);
            continue;
        }
        let at_once = shape.images_at_once();
        let mut columns = scratch.take(depth * at_once * pixels);
        for first in (0..batch).step_by(at_once) {
            let images = at_once.min(batch - first);
            let width = images * pixels;
            im2col(shape, x, first, images, &mut columns);
            let columns = View::rows(&columns[..depth * width], width);
            let out = &mut out[first * pixels..];
            multiply([rows, width, depth], weight, columns, out, row_length, false);
        }
        scratch.give(columns);
    }
    if let Some(bias) = bias {
        for (row, bias) in out.chunks_exact_mut(row_length).zip(bias) {
            row.iter_mut().for_each(|value| *value += bias);
        }
    }
}

/// Gradients: `weight_gradient` and `bias_gradient` are overwritten, `x_gradient`, where asked
/// for, must be zero or hold what is to be added to.
#[allow(clippy::too_many_arguments)]
pub fn backward(
    shape: &ConvShape,
    x: &[f32],
    weight: &[f32],
    out_gradient: &[f32],
    weight_gradient: &mut [f32],
    bias_gradient: Option<&mut [f32]>,
    mut x_gradient: Option<&mut [f32]>,
    scratch: &mut Scratch,
) {
    let (batch, pixels, depth) = (shape.batch, shape.pixels(), shape.depth());
    let rows = shape.output[0] / shape.groups;
    let channels = shape.input[0] / shape.groups;
    let row_length = batch * pixels;
    let plane = shape.input[1] * shape.input[2];
    if let Some(bias) = bias_gradient {
        for (bias, row) in bias.iter_mut().zip(out_gradient.chunks_exact(row_length)) {
            *bias = sum(row);
        }
    }
    for group in 0..shape.groups {
        let weights = group * rows * depth..(group + 1) * rows * depth;
        let inputs = group * channels * batch * plane..(group + 1) * channels * batch * plane;
        let weight = &weight[weights.clone()];
        let weight_gradient = &mut weight_gradient[weights];
        let x = &x[inputs.clone()];
        let out_gradient = &out_gradient[group * rows * row_length..][..rows * row_length];
        let mut x_gradient = x_gradient.as_deref_mut().map(|gradient| &mut gradient[inputs]);
        if shape.pointwise() {
            let columns = View::transposed(x, row_length);
            let gradient = View::rows(out_gradient, row_length);
            multiply([rows, depth, row_length], gradient, columns, weight_gradient, depth, false);
            if let Some(x_gradient) = &mut x_gradient {
                let weight = View::transposed(weight, depth);
                multiply([depth, row_length, rows], weight, gradient, x_gradient, row_length, true);
            }
            continue;
        }
        let at_once = shape.images_at_once();
        let mut columns = scratch.take(depth * at_once * pixels);
        for first in (0..batch).step_by(at_once) {
            let images = at_once.min(batch - first);
            let width = images * pixels;
            im2col(shape, x, first, images, &mut columns);
            let gradient = View::rows(&out_gradient[first * pixels..], row_length);
            let view = View::transposed(&columns[..depth * width], width);
            multiply([rows, depth, width], gradient, view, weight_gradient, depth, first > 0);
            if let Some(x_gradient) = &mut x_gradient {
                let weight = View::transposed(weight, depth);
                multiply([depth, width, rows], weight, gradient, &mut columns, width, false);
                col2im(shape, &columns, first, images, x_gradient);
            }
        }
        scratch.give(columns);
    }
}

/// Output positions along one axis whose input position lies inside the image.
fn inside(outputs: usize, inputs: usize, stride: usize, offset: isize) -> (usize, usize) {
    let stride = stride as isize;
    let start = if offset < 0 { (-offset + stride - 1) / stride } else { 0 };
    let end = (inputs as isize - offset + stride - 1).div_euclid(stride).clamp(0, outputs as isize);
    (start.min(end) as usize, end as usize)
}

/// Visits every kernel tap of every channel of one group: row of the column matrix, channel,
/// offset of the tap, and the ranges of output rows and columns it reaches.
fn taps(shape: &ConvShape, mut visit: impl FnMut(usize, usize, [isize; 2], [(usize, usize); 2])) {
    let [_, height, width] = shape.input;
    let mut row = 0;
    for channel in 0..shape.input[0] / shape.groups {
        for ky in 0..shape.kernel[0] {
            let down = (ky * shape.dilation[0]) as isize - shape.pad[0] as isize;
            let rows = inside(shape.output[1], height, shape.stride[0], down);
            for kx in 0..shape.kernel[1] {
                let right = (kx * shape.dilation[1]) as isize - shape.pad[1] as isize;
                let columns = inside(shape.output[2], width, shape.stride[1], right);
                visit(row, channel, [down, right], [rows, columns]);
                row += 1;
            }
        }
    }
}

/// `columns[channel · tap][image · pixel]` for some images of one group.
fn im2col(shape: &ConvShape, x: &[f32], first: usize, images: usize, columns: &mut [f32]) {
    let [_, height, width] = shape.input;
    let [_, out_height, out_width] = shape.output;
    let (plane, pixels) = (height * width, out_height * out_width);
    let [down_stride, right_stride] = shape.stride;
    taps(shape, |row, channel, [down, right], [(top, bottom), (left, end)]| {
        let target = &mut columns[row * images * pixels..][..images * pixels];
        let source = &x[(channel * shape.batch + first) * plane..][..images * plane];
        for (target, source) in target.chunks_exact_mut(pixels).zip(source.chunks_exact(plane)) {
            target[..top * out_width].fill(0.0);
            target[bottom * out_width..].fill(0.0);
            for y in top..bottom {
                let from = ((y * down_stride) as isize + down) as usize * width;
                let line = &source[from..from + width];
                let out = &mut target[y * out_width..][..out_width];
                out[..left].fill(0.0);
                out[end..].fill(0.0);
                if left == end {
                    continue;
                }
                let from = ((left * right_stride) as isize + right) as usize;
                if right_stride == 1 {
                    let out = &mut out[left..end];
                    out.copy_from_slice(&line[from..from + out.len()]);
                } else {
                    for (out, value) in
                        out[left..end].iter_mut().zip(line[from..].iter().step_by(right_stride))
                    {
                        *out = *value;
                    }
                }
            }
        }
    });
}

/// Adds the columns back to where [`im2col`] took them from.
fn col2im(shape: &ConvShape, columns: &[f32], first: usize, images: usize, x: &mut [f32]) {
    let [_, height, width] = shape.input;
    let [_, out_height, out_width] = shape.output;
    let (plane, pixels) = (height * width, out_height * out_width);
    let [down_stride, right_stride] = shape.stride;
    taps(shape, |row, channel, [down, right], [(top, bottom), (left, end)]| {
        if left == end {
            return;
        }
        let source = &columns[row * images * pixels..][..images * pixels];
        let target = &mut x[(channel * shape.batch + first) * plane..][..images * plane];
        for (source, target) in source.chunks_exact(pixels).zip(target.chunks_exact_mut(plane)) {
            for y in top..bottom {
                let to = ((y * down_stride) as isize + down) as usize * width;
                let to = to + ((left * right_stride) as isize + right) as usize;
                let source = &source[y * out_width + left..y * out_width + end];
                if right_stride == 1 {
                    for (to, from) in target[to..to + source.len()].iter_mut().zip(source) {
                        *to += from;
                    }
                } else {
                    for (to, from) in target[to..].iter_mut().step_by(right_stride).zip(source) {
                        *to += from;
                    }
                }
            }
        }
    });
}
