//! Pooling over windows and over whole planes. Activations are `[C][N][H][W]`.

use super::elementwise::sum;

/// Geometry of a pooling; planes are channels times images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolShape {
    /// Input height and width.
    pub input: [usize; 2],
    /// Output height and width.
    pub output: [usize; 2],
    /// Window.
    pub kernel: [usize; 2],
    /// Strides.
    pub stride: [usize; 2],
    /// Pads at top and left.
    pub pad: [usize; 2],
}

impl PoolShape {
    /// The window of an output position along one axis, clipped to the image.
    fn window(&self, axis: usize, position: usize) -> std::ops::Range<usize> {
        let start = (position * self.stride[axis]) as isize - self.pad[axis] as isize;
        let end = (start + self.kernel[axis] as isize).min(self.input[axis] as isize);
        start.max(0) as usize..end.max(0) as usize
    }

    /// Visits every output position with its clipped window.
    fn windows(&self, mut visit: impl FnMut(usize, std::ops::Range<usize>, std::ops::Range<usize>)) {
        for y in 0..self.output[0] {
            for x in 0..self.output[1] {
                visit(y * self.output[1] + x, self.window(0, y), self.window(1, x));
            }
        }
    }

    fn planes(&self) -> (usize, usize) {
        (self.input[0] * self.input[1], self.output[0] * self.output[1])
    }
}

/// Largest value of each window. An empty window gives −∞.
pub fn max_forward(shape: &PoolShape, x: &[f32], out: &mut [f32]) {
    let (plane, pixels) = shape.planes();
    for (x, out) in x.chunks_exact(plane).zip(out.chunks_exact_mut(pixels)) {
        shape.windows(|at, rows, columns| {
            let mut best = f32::NEG_INFINITY;
            for y in rows {
                for &value in &x[y * shape.input[1]..][columns.clone()] {
                    // NaN wins, so that it is not hidden.
                    if value > best || value.is_nan() {
                        best = value;
                    }
                }
            }
            out[at] = best;
        });
    }
}

/// Adds each output gradient to the first largest value of its window.
pub fn max_backward(shape: &PoolShape, x: &[f32], out: &[f32], gradient: &[f32], x_gradient: &mut [f32]) {
    let (plane, pixels) = shape.planes();
    let planes = x.chunks_exact(plane).zip(out.chunks_exact(pixels));
    let gradients = gradient.chunks_exact(pixels).zip(x_gradient.chunks_exact_mut(plane));
    for ((x, out), (gradient, x_gradient)) in planes.zip(gradients) {
        shape.windows(|at, rows, columns| {
            for y in rows {
                let start = y * shape.input[1];
                for column in columns.clone() {
                    if x[start + column] == out[at] {
                        x_gradient[start + column] += gradient[at];
                        return;
                    }
                }
            }
        });
    }
}

fn divisor(shape: &PoolShape, counts_pad: bool, rows: usize, columns: usize) -> f32 {
    let count = if counts_pad { shape.kernel[0] * shape.kernel[1] } else { rows * columns };
    1.0 / count.max(1) as f32
}

/// Mean of each window.
pub fn average_forward(shape: &PoolShape, counts_pad: bool, x: &[f32], out: &mut [f32]) {
    let (plane, pixels) = shape.planes();
    for (x, out) in x.chunks_exact(plane).zip(out.chunks_exact_mut(pixels)) {
        shape.windows(|at, rows, columns| {
            let share = divisor(shape, counts_pad, rows.len(), columns.len());
            let row = |y: usize| x[y * shape.input[1]..][columns.clone()].iter().sum::<f32>();
            out[at] = share * rows.map(row).sum::<f32>();
        });
    }
}

/// Spreads each output gradient over its window.
pub fn average_backward(shape: &PoolShape, counts_pad: bool, gradient: &[f32], x_gradient: &mut [f32]) {
    let (plane, pixels) = shape.planes();
    for (gradient, x_gradient) in gradient.chunks_exact(pixels).zip(x_gradient.chunks_exact_mut(plane)) {
        shape.windows(|at, rows, columns| {
            let share = gradient[at] * divisor(shape, counts_pad, rows.len(), columns.len());
            for y in rows {
                for value in &mut x_gradient[y * shape.input[1]..][columns.clone()] {
                    *value += share;
                }
            }
        });
    }
}

/// Mean of each plane.
pub fn mean_forward(plane: usize, x: &[f32], out: &mut [f32]) {
    let share = 1.0 / plane.max(1) as f32;
    for (x, out) in x.chunks_exact(plane).zip(out) {
        *out = share * sum(x);
    }
}

/// Spreads each gradient over its plane.
pub fn mean_backward(plane: usize, gradient: &[f32], x_gradient: &mut [f32]) {
    let share = 1.0 / plane.max(1) as f32;
    for (x_gradient, gradient) in x_gradient.chunks_exact_mut(plane).zip(gradient) {
        x_gradient.iter_mut().for_each(|value| *value += share * gradient);
    }
}
