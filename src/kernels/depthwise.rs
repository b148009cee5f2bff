//! Depthwise convolution (one filter per channel) on padded planes: every tap is one shifted pass
//! over contiguous memory.

use super::{
    conv::ConvShape,
    elementwise::{accumulate_scaled, dot, sum},
    scratch::Scratch,
};

/// Values per pass: taps are applied block by block while the block is in the first-level cache.
const BLOCK: usize = 2048;

/// Padded planes of one channel of the whole batch.
struct Planes {
    /// Padded height and width.
    size: [usize; 2],
    /// Offset of every tap in a padded plane.
    taps: Vec<usize>,
    /// Values in all planes, and behind them room for the largest tap.
    length: usize,
    room: usize,
}

impl Planes {
    fn new(shape: &ConvShape) -> Self {
        let extent = |axis: usize| {
            let reach = (shape.kernel[axis] - 1) * shape.dilation[axis];
            let needed = (shape.output[axis + 1] - 1) * shape.stride[axis] + reach + 1;
            needed.max(shape.input[axis + 1] + shape.pad[axis])
        };
        let size = [extent(0), extent(1)];
        let taps: Vec<usize> = (0..shape.kernel[0])
            .flat_map(|ky| {
                (0..shape.kernel[1])
                    .map(move |kx| ky * shape.dilation[0] * size[1] + kx * shape.dilation[1])
            })
            .collect();
        let length = shape.batch * size[0] * size[1];
        let room = length + taps.last().copied().unwrap_or(0);
        Self { size, taps, length, room }
    }

    /// Visits each image row: offset in the padded planes, offset in the image planes.
    fn image_rows(&self, shape: &ConvShape, mut visit: impl FnMut(usize, usize)) {
        let [_, height, width] = shape.input;
        for image in 0..shape.batch {
            for y in 0..height {
                let padded = (image * self.size[0] + y + shape.pad[0]) * self.size[1];
                visit(padded + shape.pad[1], (image * height + y) * width);
            }
        }
    }

    /// Visits each output row likewise; output columns are `stride[1]` apart in the padded planes.
    fn output_rows(&self, shape: &ConvShape, mut visit: impl FnMut(usize, usize)) {
        let [_, height, width] = shape.output;
        for image in 0..shape.batch {
            for y in 0..height {
                let padded = (image * self.size[0] + y * shape.stride[0]) * self.size[1];
                visit(padded, (image * height + y) * width);
            }
        }
    }
}

/// `out = x ∗ weight + bias`; weight `[C, 1, kh, kw]`.
pub fn forward(
    shape: &ConvShape,
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    out: &mut [f32],
    scratch: &mut Scratch,
) {
    let planes = Planes::new(shape);
    let (taps, step) = (planes.taps.len(), shape.stride[1]);
    let [_, height, width] = shape.input;
    let out_width = shape.output[2];
    let x_row = shape.batch * height * width;
    let out_row = shape.batch * shape.output[1] * out_width;
    let mut padded = scratch.zeros(planes.room);
    let mut wide = scratch.take(planes.length);
    for channel in 0..shape.input[0] {
        let x = &x[channel * x_row..][..x_row];
        planes.image_rows(shape, |to, from| {
            padded[to..to + width].copy_from_slice(&x[from..from + width]);
        });
        let weight = &weight[channel * taps..][..taps];
        wide.fill(bias.map_or(0.0, |bias| bias[channel]));
        for (block, wide) in wide.chunks_mut(BLOCK).enumerate() {
            for (&weight, &tap) in weight.iter().zip(&planes.taps) {
                accumulate_scaled(weight, &padded[block * BLOCK + tap..][..wide.len()], wide);
            }
        }
        let out = &mut out[channel * out_row..][..out_row];
        planes.output_rows(shape, |from, to| {
            let out = &mut out[to..to + out_width];
            for (out, value) in out.iter_mut().zip(wide[from..].iter().step_by(step)) {
                *out = *value;
            }
        });
    }
    scratch.give(padded);
    scratch.give(wide);
}

/// Gradients, as for [`super::conv::backward`].
#[allow(clippy::too_many_arguments)]
pub fn backward(
    shape: &ConvShape,
    x: &[f32],
    weight: &[f32],
    out_gradient: &[f32],
    weight_gradient: &mut [f32],
    mut bias_gradient: Option<&mut [f32]>,
    mut x_gradient: Option<&mut [f32]>,
    scratch: &mut Scratch,
) {
    let planes = Planes::new(shape);
    let (taps, step) = (planes.taps.len(), shape.stride[1]);
    let [_, height, width] = shape.input;
    let out_width = shape.output[2];
    let x_row = shape.batch * height * width;
    let out_row = shape.batch * shape.output[1] * out_width;
    let mut padded = scratch.zeros(planes.room);
    // Output gradients stand where the outputs were read from, zeros between and around them.
    let mut wide = scratch.zeros(planes.length);
    let mut back = scratch.take(planes.room);
    for channel in 0..shape.input[0] {
        let x = &x[channel * x_row..][..x_row];
        planes.image_rows(shape, |to, from| {
            padded[to..to + width].copy_from_slice(&x[from..from + width]);
        });
        let gradient = &out_gradient[channel * out_row..][..out_row];
        planes.output_rows(shape, |to, from| {
            let gradient = &gradient[from..from + out_width];
            for (to, from) in wide[to..].iter_mut().step_by(step).zip(gradient) {
                *to = *from;
            }
        });
        let weight_gradient = &mut weight_gradient[channel * taps..][..taps];
        weight_gradient.fill(0.0);
        for (block, wide) in wide.chunks(BLOCK).enumerate() {
            for (weight, &tap) in weight_gradient.iter_mut().zip(&planes.taps) {
                *weight += dot(wide, &padded[block * BLOCK + tap..][..wide.len()]);
            }
        }
        if let Some(bias) = &mut bias_gradient {
            bias[channel] = sum(gradient);
        }
        if let Some(x_gradient) = &mut x_gradient {
            back.fill(0.0);
            let weight = &weight[channel * taps..][..taps];
            for (block, wide) in wide.chunks(BLOCK).enumerate() {
                for (&weight, &tap) in weight.iter().zip(&planes.taps) {
                    let back = &mut back[block * BLOCK + tap..][..wide.len()];
                    accumulate_scaled(weight, wide, back);
                }
            }
            let x_gradient = &mut x_gradient[channel * x_row..][..x_row];
            planes.image_rows(shape, |from, to| {
                let to = &mut x_gradient[to..to + width];
                for (to, from) in to.iter_mut().zip(&back[from..from + width]) {
                    *to += from;
                }
            });
        }
    }
    scratch.give(padded);
    scratch.give(wide);
    scratch.give(back);
}
