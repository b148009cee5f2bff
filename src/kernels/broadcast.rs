//! Sums and products of values with weights that are the same for every image.

use super::{Pixel, simd::vectorised};

/// The weight that each element of one image is combined with, in memory order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightMap {
    /// Index into the weight.
    pub of: Vec<u32>,
    /// Elements inside of a block.
    pub minors: usize,
}

vectorised! {
    /// `out = x · w` or `out = x + w`.
    pub fn forward(map: &WeightMap, multiplies: bool, blocks: usize, x: &[Pixel], weight: &[f32], out: &mut [Pixel]) {
        let minors = map.minors.max(1);
        for (major, of) in map.of.chunks(minors).enumerate() {
            for block in 0..blocks {
                let start = (major * blocks + block) * minors;
                let run = start..start + of.len();
                for ((out, x), &of) in out[run.clone()].iter_mut().zip(&x[run]).zip(of) {
                    let weight = weight[of as usize];
                    for (out, x) in out.0.iter_mut().zip(x.0) {
                        *out = if multiplies { x * weight } else { x + weight };
                    }
                }
            }
        }
    }
}

vectorised! {
    /// Adds to the gradient of the weight; `gradient`, that of the result, becomes that of `x`.
    pub fn backward(map: &WeightMap, multiplies: bool, blocks: usize, x: &[Pixel], weight: &[f32], gradient: &mut [Pixel], weight_gradient: &mut [f32]) {
        let minors = map.minors.max(1);
        for (major, of) in map.of.chunks(minors).enumerate() {
            for block in 0..blocks {
                let start = (major * blocks + block) * minors;
                let run = start..start + of.len();
                for ((gradient, x), &of) in gradient[run.clone()].iter_mut().zip(&x[run]).zip(of) {
                    let weight = weight[of as usize];
                    let mut total = 0.0;
                    for (gradient, x) in gradient.0.iter_mut().zip(x.0) {
                        total += if multiplies { *gradient * x } else { *gradient };
                        *gradient *= if multiplies { weight } else { 1.0 };
                    }
                    weight_gradient[of as usize] += total;
                }
            }
        }
    }
}
