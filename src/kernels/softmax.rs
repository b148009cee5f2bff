//! Softmax along one axis.

use rayon::prelude::*;

use super::{Pixel, cores::shared_among, math::exp, pixel::IMAGES, simd::vectorised};

/// Multiply-accumulates that take as long as one value, which is read from memory three times.
const VALUE: usize = 128;

/// The axis: elements before it, along it and after it, images counted as they lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AxisShape {
    /// Runs of `length · inner` pixels.
    pub outer: usize,
    /// Elements along the axis.
    pub length: usize,
    /// Pixels from one element to the next.
    pub inner: usize,
}

/// [`forward`], shared among cores where that pays.
pub fn forward_shared(shape: AxisShape, x: &[Pixel], out: &mut [Pixel]) {
    let AxisShape { outer, length, inner } = shape;
    let run = (length * inner).max(1);
    let cores = shared_among(outer, x.len() * IMAGES * VALUE);
    if cores == 1 {
        return forward(shape, x, out);
    }
    let part = run * outer.div_ceil(cores);
    let parts = x.par_chunks(part).zip(out.par_chunks_mut(part));
    parts.for_each(|(x, out)| forward(AxisShape { outer: x.len() / run, ..shape }, x, out));
}

vectorised! {
    /// `out = e^x / Σ e^x` along the axis.
    pub fn forward(shape: AxisShape, x: &[Pixel], out: &mut [Pixel]) {
        let AxisShape { length, inner, .. } = shape;
        let run = (length * inner).max(1);
        for (x, out) in x.chunks_exact(run).zip(out.chunks_exact_mut(run)) {
            for start in 0..inner {
                let mut largest = Pixel::splat(f32::NEG_INFINITY);
                for x in x[start..].iter().step_by(inner) {
                    largest = largest.zip(*x, f32::max);
                }
                let mut total = Pixel::ZERO;
                for (out, x) in out[start..].iter_mut().step_by(inner).zip(x[start..].iter().step_by(inner)) {
                    *out = x.zip(largest, |x, largest| exp(x - largest));
                    total = total.zip(*out, |total, value| total + value);
                }
                let share = total.zip(total, |total, _| 1.0 / total);
                for out in out[start..].iter_mut().step_by(inner) {
                    *out = out.zip(share, |value, share| value * share);
                }
            }
        }
    }
}

vectorised! {
    /// `gradient`, that of the result `y`, becomes that of the operand: `y · (g − Σ g · y)`.
    pub fn backward(shape: AxisShape, y: &[Pixel], gradient: &mut [Pixel]) {
        let AxisShape { length, inner, .. } = shape;
        let run = (length * inner).max(1);
        for (y, gradient) in y.chunks_exact(run).zip(gradient.chunks_exact_mut(run)) {
            for start in 0..inner {
                let mut along = Pixel::ZERO;
                for (gradient, y) in gradient[start..].iter().step_by(inner).zip(y[start..].iter().step_by(inner)) {
                    let term = gradient.zip(*y, |gradient, y| gradient * y);
                    along = along.zip(term, |along, term| along + term);
                }
                for (gradient, y) in gradient[start..].iter_mut().step_by(inner).zip(y[start..].iter().step_by(inner)) {
                    let centred = gradient.zip(along, |gradient, along| gradient - along);
                    *gradient = centred.zip(*y, |centred, y| centred * y);
                }
            }
        }
    }
}
