//! Pooling over windows and over whole planes.

use std::ops::Range;

use super::{
    elementwise::{accumulate_constant, sums},
    pixel::Pixel,
    simd::vectorised,
};

/// Geometry of a pooling; planes are channels times blocks of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolShape {
    /// Input height and width.
    pub input: [usize; 2],
    /// Output height and width.
    pub output: [usize; 2],
    /// Which values each output takes.
    pub windows: Windows,
}

/// Windows over an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Windows {
    /// Windows of one size at equal steps.
    Sliding {
        /// Window.
        kernel: [usize; 2],
        /// Strides.
        stride: [usize; 2],
        /// Pads at top and left.
        pad: [usize; 2],
    },
    /// The values that lie, in whole or in part, in as many equal shares of the image as there are outputs,
    /// as in PyTorch's `AdaptiveAvgPool2d`.
    Adaptive,
}

impl PoolShape {
    /// The window of an output position along one axis, clipped to the image.
    #[inline(always)]
    fn window(&self, axis: usize, position: usize) -> Range<usize> {
        let extent = self.input[axis];
        match self.windows {
            Windows::Sliding { kernel, stride, pad } => {
                let start = (position * stride[axis]) as isize - pad[axis] as isize;
                let end = (start + kernel[axis] as isize).min(extent as isize);
                start.max(0) as usize..end.max(0) as usize
            }
            Windows::Adaptive => {
                let outputs = self.output[axis];
                position * extent / outputs..((position + 1) * extent).div_ceil(outputs)
            }
        }
    }

    /// Visits every output position with its clipped window.
    #[inline(always)]
    fn windows(&self, mut visit: impl FnMut(usize, Range<usize>, Range<usize>)) {
        for y in 0..self.output[0] {
            for x in 0..self.output[1] {
                visit(y * self.output[1] + x, self.window(0, y), self.window(1, x));
            }
        }
    }

    fn planes(&self) -> (usize, usize) {
        (self.input[0] * self.input[1], self.output[0] * self.output[1])
    }

    /// Share of each value in the mean of a window.
    #[inline(always)]
    fn share(&self, counts_pad: bool, rows: &Range<usize>, columns: &Range<usize>) -> f32 {
        let count = match self.windows {
            Windows::Sliding { kernel, .. } if counts_pad => kernel[0] * kernel[1],
            _ => rows.len() * columns.len(),
        };
        1.0 / count.max(1) as f32
    }
}

/// The larger value; NaN wins, so that it is not hidden.
#[inline(always)]
fn larger(best: f32, value: f32) -> f32 {
    if value > best || value.is_nan() { value } else { best }
}

vectorised! {
    /// Largest value of each window. An empty window gives −∞.
    pub fn max_forward(shape: &PoolShape, x: &[Pixel], out: &mut [Pixel]) {
        let (plane, pixels) = shape.planes();
        for (x, out) in x.chunks_exact(plane).zip(out.chunks_exact_mut(pixels)) {
            shape.windows(|at, rows, columns| {
                let mut best = Pixel::splat(f32::NEG_INFINITY);
                for y in rows {
                    for value in &x[y * shape.input[1]..][columns.clone()] {
                        best = best.zip(*value, larger);
                    }
                }
                out[at] = best;
            });
        }
    }
}

vectorised! {
    /// Adds each output gradient to the first largest value of its window.
    pub fn max_backward(shape: &PoolShape, x: &[Pixel], out: &[Pixel], gradient: &[Pixel], x_gradient: &mut [Pixel]) {
        let (plane, pixels) = shape.planes();
        let planes = x.chunks_exact(plane).zip(out.chunks_exact(pixels));
        let gradients = gradient.chunks_exact(pixels).zip(x_gradient.chunks_exact_mut(plane));
        for ((x, out), (gradient, x_gradient)) in planes.zip(gradients) {
            shape.windows(|at, rows, columns| {
                let mut left = gradient[at];
                for y in rows {
                    let row = y * shape.input[1];
                    for column in columns.clone() {
                        let (value, target) = (&x[row + column], &mut x_gradient[row + column]);
                        for lane in 0..left.0.len() {
                            let hit = value.0[lane] == out[at].0[lane];
                            target.0[lane] += if hit { left.0[lane] } else { 0.0 };
                            left.0[lane] = if hit { 0.0 } else { left.0[lane] };
                        }
                    }
                }
            });
        }
    }
}

vectorised! {
    /// Mean of each window.
    pub fn average_forward(shape: &PoolShape, counts_pad: bool, x: &[Pixel], out: &mut [Pixel]) {
        let (plane, pixels) = shape.planes();
        for (x, out) in x.chunks_exact(plane).zip(out.chunks_exact_mut(pixels)) {
            shape.windows(|at, rows, columns| {
                let share = Pixel::splat(shape.share(counts_pad, &rows, &columns));
                let mut total = Pixel::ZERO;
                for y in rows {
                    for value in &x[y * shape.input[1]..][columns.clone()] {
                        total = total.zip(*value, |total, x| total + x);
                    }
                }
                out[at] = total.zip(share, |total, share| total * share);
            });
        }
    }
}

vectorised! {
    /// Spreads each output gradient over its window.
    pub fn average_backward(shape: &PoolShape, counts_pad: bool, gradient: &[Pixel], x_gradient: &mut [Pixel]) {
        let (plane, pixels) = shape.planes();
        for (gradient, x_gradient) in gradient.chunks_exact(pixels).zip(x_gradient.chunks_exact_mut(plane)) {
            shape.windows(|at, rows, columns| {
                let share = Pixel::splat(shape.share(counts_pad, &rows, &columns));
                let share = gradient[at].zip(share, |gradient, share| gradient * share);
                for y in rows {
                    for value in &mut x_gradient[y * shape.input[1]..][columns.clone()] {
                        *value = value.zip(share, |value, share| value + share);
                    }
                }
            });
        }
    }
}

/// Mean of each plane.
pub fn mean_forward(plane: usize, x: &[Pixel], out: &mut [Pixel]) {
    let share = Pixel::splat(1.0 / plane.max(1) as f32);
    for (x, out) in x.chunks_exact(plane).zip(out) {
        *out = sums(x).zip(share, |sum, share| sum * share);
    }
}

/// Spreads each gradient over its plane.
pub fn mean_backward(plane: usize, gradient: &[Pixel], x_gradient: &mut [Pixel]) {
    let share = Pixel::splat(1.0 / plane.max(1) as f32);
    for (x_gradient, gradient) in x_gradient.chunks_exact_mut(plane).zip(gradient) {
        let share = gradient.zip(share, |gradient, share| gradient * share);
        accumulate_constant(share, x_gradient);
    }
}

/// A window that is the whole plane.
fn whole(plane: usize) -> PoolShape {
    let (input, output) = ([1, plane], [1, 1]);
    let windows = Windows::Sliding { kernel: input, stride: [1, 1], pad: [0, 0] };
    PoolShape { input, output, windows }
}

/// Largest value of each plane.
pub fn global_max_forward(plane: usize, x: &[Pixel], out: &mut [Pixel]) {
    max_forward(&whole(plane), x, out);
}

/// Adds each gradient to the first largest value of its plane.
pub fn global_max_backward(
    plane: usize,
    x: &[Pixel],
    out: &[Pixel],
    gradient: &[Pixel],
    x_gradient: &mut [Pixel],
) {
    max_backward(&whole(plane), x, out, gradient, x_gradient);
}
