//! Sums, products and reductions over contiguous values.
//!
//! Loops with different constants for every image run over strips of a few pixels, with the constants
//! repeated along the strip. The compiler vectorises such loops over plain values well, but not loops
//! over pixels.

use super::{
    pixel::{IMAGES, Pixel, flat, flat_mut},
    simd::vectorised,
};

/// Independent partial sums, so that additions need not wait for each other.
const CHAINS: usize = 4;

/// Values of a strip.
pub(super) const STRIP: usize = 8 * IMAGES;

/// A constant for each image, along a strip.
#[inline(always)]
pub(super) fn repeated(pixel: Pixel) -> [f32; STRIP] {
    let mut strip = [0.0; STRIP];
    for values in strip.chunks_exact_mut(IMAGES) {
        values.copy_from_slice(&pixel.0);
    }
    strip
}

/// The sum of a strip, image by image.
#[inline(always)]
pub(super) fn gathered(strip: &[f32; STRIP]) -> Pixel {
    let mut sum = Pixel::ZERO;
    for values in strip.chunks_exact(IMAGES) {
        for (sum, value) in sum.0.iter_mut().zip(values) {
            *sum += value;
        }
    }
    sum
}

vectorised! {
    /// Σ x
    pub fn sum(x: &[f32]) -> f32 {
        let mut lanes = [[0.0f32; IMAGES]; CHAINS];
        let (chunks, rest) = x.as_chunks::<{ IMAGES * CHAINS }>();
        for chunk in chunks {
            for (chain, lanes) in lanes.iter_mut().enumerate() {
                for (lane, sum) in lanes.iter_mut().enumerate() {
                    *sum += chunk[chain * IMAGES + lane];
                }
            }
        }
        lanes.iter().flatten().sum::<f32>() + rest.iter().sum::<f32>()
    }
}

vectorised! {
    /// Σ x · y
    pub fn dot(x: &[f32], y: &[f32]) -> f32 {
        let mut lanes = [[0.0f32; IMAGES]; CHAINS];
        let (xs, x_rest) = x.as_chunks::<{ IMAGES * CHAINS }>();
        let (ys, y_rest) = y.as_chunks::<{ IMAGES * CHAINS }>();
        for (x, y) in xs.iter().zip(ys) {
            for (chain, lanes) in lanes.iter_mut().enumerate() {
                for (lane, sum) in lanes.iter_mut().enumerate() {
                    *sum += x[chain * IMAGES + lane] * y[chain * IMAGES + lane];
                }
            }
        }
        let rest = x_rest.iter().zip(y_rest).map(|(x, y)| x * y);
        lanes.iter().flatten().sum::<f32>() + rest.sum::<f32>()
    }
}

vectorised! {
    /// `out += factor · x`
    pub fn accumulate_scaled(factor: f32, x: &[f32], out: &mut [f32]) {
        for (out, x) in out.iter_mut().zip(x) {
            *out += factor * x;
        }
    }
}

vectorised! {
    /// Σ x, image by image
    pub fn sums(x: &[Pixel]) -> Pixel {
        let mut total = [0.0; STRIP];
        for x in flat(x).chunks(STRIP) {
            for (total, x) in total.iter_mut().zip(x) {
                *total += x;
            }
        }
        gathered(&total)
    }
}

vectorised! {
    /// Σ (x − centre)², image by image
    pub fn squared_deviations(x: &[Pixel], centre: Pixel) -> Pixel {
        let (mut total, centre) = ([0.0; STRIP], repeated(centre));
        for x in flat(x).chunks(STRIP) {
            for ((total, x), centre) in total.iter_mut().zip(x).zip(&centre) {
                *total += (x - centre) * (x - centre);
            }
        }
        gathered(&total)
    }
}

vectorised! {
    /// Σ x · y, image by image
    pub fn dots(x: &[Pixel], y: &[Pixel]) -> Pixel {
        let mut total = [0.0; STRIP];
        for (x, y) in flat(x).chunks(STRIP).zip(flat(y).chunks(STRIP)) {
            for ((total, x), y) in total.iter_mut().zip(x).zip(y) {
                *total += x * y;
            }
        }
        gathered(&total)
    }
}

vectorised! {
    /// `out += x`
    pub fn accumulate(x: &[f32], out: &mut [f32]) {
        for (out, x) in out.iter_mut().zip(x) {
            *out += x;
        }
    }
}

vectorised! {
    /// `out = x + y`
    pub fn add(x: &[f32], y: &[f32], out: &mut [f32]) {
        for ((out, x), y) in out.iter_mut().zip(x).zip(y) {
            *out = x + y;
        }
    }
}

vectorised! {
    /// `out = x · y`
    pub fn product(x: &[f32], y: &[f32], out: &mut [f32]) {
        for ((out, x), y) in out.iter_mut().zip(x).zip(y) {
            *out = x * y;
        }
    }
}

vectorised! {
    /// `out += x · y`
    pub fn accumulate_product(x: &[f32], y: &[f32], out: &mut [f32]) {
        for ((out, x), y) in out.iter_mut().zip(x).zip(y) {
            *out += x * y;
        }
    }
}

vectorised! {
    /// `out = scale · x + offset`, image by image
    pub fn affine(x: &[Pixel], scale: Pixel, offset: Pixel, out: &mut [Pixel]) {
        let (scale, offset) = (repeated(scale), repeated(offset));
        for (out, x) in flat_mut(out).chunks_mut(STRIP).zip(flat(x).chunks(STRIP)) {
            for (((out, x), scale), offset) in out.iter_mut().zip(x).zip(&scale).zip(&offset) {
                *out = scale * x + offset;
            }
        }
    }
}

vectorised! {
    /// `out += scale · x + offset`, image by image
    pub fn accumulate_affine(x: &[Pixel], scale: Pixel, offset: Pixel, out: &mut [Pixel]) {
        let (scale, offset) = (repeated(scale), repeated(offset));
        for (out, x) in flat_mut(out).chunks_mut(STRIP).zip(flat(x).chunks(STRIP)) {
            for (((out, x), scale), offset) in out.iter_mut().zip(x).zip(&scale).zip(&offset) {
                *out += scale * x + offset;
            }
        }
    }
}

vectorised! {
    /// `out += term`, image by image
    pub fn accumulate_constant(term: Pixel, out: &mut [Pixel]) {
        let term = repeated(term);
        for out in flat_mut(out).chunks_mut(STRIP) {
            for (out, term) in out.iter_mut().zip(&term) {
                *out += term;
            }
        }
    }
}

vectorised! {
    /// `gradient = scale · gradient + slope · x + offset`, in place and image by image.
    pub fn combine(scale: Pixel, slope: Pixel, offset: Pixel, x: &[Pixel], gradient: &mut [Pixel]) {
        let (scale, slope, offset) = (repeated(scale), repeated(slope), repeated(offset));
        for (gradient, x) in flat_mut(gradient).chunks_mut(STRIP).zip(flat(x).chunks(STRIP)) {
            let constants = scale.iter().zip(&slope).zip(&offset);
            for ((gradient, x), ((scale, slope), offset)) in
                gradient.iter_mut().zip(x).zip(constants)
            {
                *gradient = scale * *gradient + slope * x + offset;
            }
        }
    }
}
