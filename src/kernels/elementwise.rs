//! Sums, products and reductions over contiguous values.

use super::{
    pixel::{IMAGES, Pixel},
    simd::vectorised,
};

/// Independent partial sums, so that additions need not wait for each other.
pub(super) const CHAINS: usize = 4;

/// Runs `$body` over all pixels with `$sums` as one of [`CHAINS`] partial sums, and adds them up.
macro_rules! chained {
    ($x:expr, |$sums:ident, $pixel:ident, $index:ident| $body:expr) => {{
        let (chunks, rest) = $x.as_chunks::<CHAINS>();
        let mut chains = [[Pixel::ZERO; 2]; CHAINS];
        for (chunk, pixels) in chunks.iter().enumerate() {
            for chain in 0..CHAINS {
                let ($sums, $pixel, $index) =
                    (&mut chains[chain], &pixels[chain], chunk * CHAINS + chain);
                $body
            }
        }
        for (index, $pixel) in rest.iter().enumerate() {
            let ($sums, $index) = (&mut chains[0], chunks.len() * CHAINS + index);
            $body
        }
        std::array::from_fn::<_, 2, _>(|which| {
            chains.iter().fold(Pixel::ZERO, |sum, chain| sum.zip(chain[which], |a, b| a + b))
        })
    }};
}
pub(super) use chained;

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
        let [sum, _] = chained!(x, |sums, pixel, _index| {
            sums[0] = sums[0].zip(*pixel, |sum, x| sum + x)
        });
        sum
    }
}

vectorised! {
    /// Σ (x − centre)², image by image
    pub fn squared_deviations(x: &[Pixel], centre: Pixel) -> Pixel {
        let [sum, _] = chained!(x, |sums, pixel, _index| {
            let deviation = pixel.zip(centre, |x, centre| x - centre);
            sums[0] = sums[0].zip(deviation, |sum, x| sum + x * x)
        });
        sum
    }
}

vectorised! {
    /// Σ x · y, image by image
    pub fn dots(x: &[Pixel], y: &[Pixel]) -> Pixel {
        let y = &y[..x.len()];
        let [sum, _] = chained!(x, |sums, pixel, index| {
            let product = pixel.zip(y[index], |x, y| x * y);
            sums[0] = sums[0].zip(product, |sum, product| sum + product)
        });
        sum
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
        for (out, x) in out.iter_mut().zip(x) {
            *out = x.zip(scale, |x, scale| x * scale).zip(offset, |x, offset| x + offset);
        }
    }
}

vectorised! {
    /// `out += scale · x + offset`, image by image
    pub fn accumulate_affine(x: &[Pixel], scale: Pixel, offset: Pixel, out: &mut [Pixel]) {
        for (out, x) in out.iter_mut().zip(x) {
            let term = x.zip(scale, |x, scale| x * scale).zip(offset, |x, offset| x + offset);
            *out = out.zip(term, |out, term| out + term);
        }
    }
}

vectorised! {
    /// `gradient = scale · gradient + slope · x + offset`, in place and image by image.
    pub fn combine(scale: Pixel, slope: Pixel, offset: Pixel, x: &[Pixel], gradient: &mut [Pixel]) {
        for (gradient, x) in gradient.iter_mut().zip(x) {
            let term = x.zip(slope, |x, slope| x * slope).zip(offset, |x, offset| x + offset);
            *gradient = gradient
                .zip(scale, |gradient, scale| gradient * scale)
                .zip(term, |gradient, term| gradient + term);
        }
    }
}
