//! Sums, products and reductions over contiguous values.

use super::simd::vectorised;

/// Independent partial sums, so that a reduction vectorises.
const LANES: usize = 16;

vectorised! {
    /// Σ x
    pub fn sum(x: &[f32]) -> f32 {
        let mut lanes = [0.0f32; LANES];
        let (chunks, rest) = x.as_chunks::<LANES>();
        for chunk in chunks {
            for lane in 0..LANES {
                lanes[lane] += chunk[lane];
            }
        }
        lanes.iter().sum::<f32>() + rest.iter().sum::<f32>()
    }
}

vectorised! {
    /// Σ x · y
    pub fn dot(x: &[f32], y: &[f32]) -> f32 {
        let mut lanes = [0.0f32; LANES];
        let (xs, x_rest) = x.as_chunks::<LANES>();
        let (ys, y_rest) = y.as_chunks::<LANES>();
        for (x, y) in xs.iter().zip(ys) {
            for lane in 0..LANES {
                lanes[lane] += x[lane] * y[lane];
            }
        }
        lanes.iter().sum::<f32>() + x_rest.iter().zip(y_rest).map(|(x, y)| x * y).sum::<f32>()
    }
}

vectorised! {
    /// Σ (x − centre)²
    pub fn squared_deviation(x: &[f32], centre: f32) -> f32 {
        let mut lanes = [0.0f32; LANES];
        let (chunks, rest) = x.as_chunks::<LANES>();
        for chunk in chunks {
            for lane in 0..LANES {
                let deviation = chunk[lane] - centre;
                lanes[lane] += deviation * deviation;
            }
        }
        lanes.iter().sum::<f32>() + rest.iter().map(|x| (x - centre) * (x - centre)).sum::<f32>()
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
    /// `out += factor · x`
    pub fn accumulate_scaled(factor: f32, x: &[f32], out: &mut [f32]) {
        for (out, x) in out.iter_mut().zip(x) {
            *out += factor * x;
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
    /// `out = factor · x`
    pub fn scaled(factor: f32, x: &[f32], out: &mut [f32]) {
        for (out, x) in out.iter_mut().zip(x) {
            *out = factor * x;
        }
    }
}

vectorised! {
    /// `gradient = scale · gradient + slope · x + offset`, in place.
    pub fn combine(scale: f32, slope: f32, offset: f32, x: &[f32], gradient: &mut [f32]) {
        for (gradient, x) in gradient.iter_mut().zip(x) {
            *gradient = scale * *gradient + slope * x + offset;
        }
    }
}
