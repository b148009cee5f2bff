//! Elementwise non-linearities, alone or after a per-channel affine map.

use super::{
    Activation, Pixel,
    elementwise::CHAINS,
    elementwise::chained,
    math::{erf, exp, sigmoid, tanh},
    simd::vectorised,
};

/// Runs `$body` with `$value` and `$slope` bound to the function and its derivative.
macro_rules! with_function {
    ($activation:expr, $value:ident, $slope:ident => $body:expr) => {
        match $activation {
            Activation::Relu => with_function!(@ $value, $slope, $body,
                |y: f32| y.max(0.0), |y: f32| if y > 0.0 { 1.0 } else { 0.0 }),
            Activation::LeakyRelu(alpha) => with_function!(@ $value, $slope, $body,
                |y: f32| if y > 0.0 { y } else { alpha * y },
                |y: f32| if y > 0.0 { 1.0 } else { alpha }),
            Activation::Gelu => with_function!(@ $value, $slope, $body,
                |y: f32| 0.5 * y * (1.0 + erf(y * std::f32::consts::FRAC_1_SQRT_2)),
                |y: f32| 0.5 * (1.0 + erf(y * std::f32::consts::FRAC_1_SQRT_2))
                    + y * 0.398_942_3 * exp(-0.5 * y * y)),
            Activation::GeluTanh => with_function!(@ $value, $slope, $body,
                |y: f32| 0.5 * y * (1.0 + tanh(0.797_884_6 * (y + 0.044_715 * y * y * y))),
                |y: f32| {
                    let t = tanh(0.797_884_6 * (y + 0.044_715 * y * y * y));
                    0.5 * (1.0 + t)
                        + 0.5 * y * (1.0 - t * t) * 0.797_884_6 * (1.0 + 0.134_145 * y * y)
                }),
            Activation::Sigmoid => with_function!(@ $value, $slope, $body,
                |y: f32| sigmoid(y),
                |y: f32| { let s = sigmoid(y); s * (1.0 - s) }),
            Activation::Silu => with_function!(@ $value, $slope, $body,
                |y: f32| y * sigmoid(y),
                |y: f32| { let s = sigmoid(y); s * (1.0 + y * (1.0 - s)) }),
            Activation::HardSigmoid { alpha, beta } => with_function!(@ $value, $slope, $body,
                |y: f32| (alpha * y + beta).clamp(0.0, 1.0),
                |y: f32| { let z = alpha * y + beta; if z > 0.0 && z < 1.0 { alpha } else { 0.0 } }),
            Activation::HardSwish => with_function!(@ $value, $slope, $body,
                |y: f32| y * (y / 6.0 + 0.5).clamp(0.0, 1.0),
                |y: f32| if y <= -3.0 { 0.0 } else if y >= 3.0 { 1.0 } else { y / 3.0 + 0.5 }),
            Activation::Tanh => with_function!(@ $value, $slope, $body,
                |y: f32| tanh(y),
                |y: f32| { let t = tanh(y); 1.0 - t * t }),
            Activation::Elu(alpha) => with_function!(@ $value, $slope, $body,
                |y: f32| if y > 0.0 { y } else { alpha * (exp(y) - 1.0) },
                |y: f32| if y > 0.0 { 1.0 } else { alpha * exp(y) }),
            Activation::Clip { low, high } => with_function!(@ $value, $slope, $body,
                |y: f32| y.max(low).min(high),
                |y: f32| if y > low && y < high { 1.0 } else { 0.0 }),
        }
    };
    (@ $value:ident, $slope:ident, $body:expr, $f:expr, $d:expr) => {{
        #[allow(unused_variables)]
        let ($value, $slope) = ($f, $d);
        $body
    }};
}

vectorised! {
    /// `out = f(scale · x + shift)`, or `scale · x + shift` without an activation, image by image.
    pub fn affine(activation: Option<Activation>, x: &[Pixel], scale: Pixel, shift: Pixel, out: &mut [Pixel]) {
        match activation {
            None => for (out, x) in out.iter_mut().zip(x) {
                *out = x.zip(scale, |x, scale| x * scale).zip(shift, |x, shift| x + shift);
            },
            Some(activation) => with_function!(activation, value, slope => {
                for (out, x) in out.iter_mut().zip(x) {
                    *out = x
                        .zip(scale, |x, scale| x * scale)
                        .zip(shift, |x, shift| value(x + shift));
                }
            }),
        }
    }
}

vectorised! {
    /// `gradient *= f'(scale · x + shift)`, in place and image by image. Returns Σ gradient and
    /// Σ gradient · (x − centre).
    pub fn affine_backward(
        activation: Option<Activation>,
        x: &[Pixel],
        scale: Pixel,
        shift: Pixel,
        centre: Pixel,
        gradient: &mut [Pixel],
    ) -> [Pixel; 2] {
        let gradient = &mut gradient[..x.len()];
        match activation {
            None => chained!(x, |sums, pixel, index| {
                let deviation = pixel.zip(centre, |x, centre| x - centre);
                let along = gradient[index].zip(deviation, |gradient, x| gradient * x);
                sums[0] = sums[0].zip(gradient[index], |sum, gradient| sum + gradient);
                sums[1] = sums[1].zip(along, |sum, along| sum + along);
            }),
            Some(activation) => with_function!(activation, value, slope => {
                chained!(x, |sums, pixel, index| {
                    let factor = pixel
                        .zip(scale, |x, scale| x * scale)
                        .zip(shift, |x, shift| slope(x + shift));
                    let inner = gradient[index].zip(factor, |gradient, factor| gradient * factor);
                    gradient[index] = inner;
                    let deviation = pixel.zip(centre, |x, centre| x - centre);
                    let along = inner.zip(deviation, |gradient, x| gradient * x);
                    sums[0] = sums[0].zip(inner, |sum, gradient| sum + gradient);
                    sums[1] = sums[1].zip(along, |sum, along| sum + along);
                })
            }),
        }
    }
}

vectorised! {
    /// `out = f(x)`
    pub fn apply(activation: Activation, x: &[f32], out: &mut [f32]) {
        with_function!(activation, value, slope => {
            for (out, x) in out.iter_mut().zip(x) {
                *out = value(*x);
            }
        });
    }
}

vectorised! {
    /// `gradient *= f'(x)`, in place.
    pub fn apply_backward(activation: Activation, x: &[f32], gradient: &mut [f32]) {
        with_function!(activation, value, slope => {
            for (gradient, x) in gradient.iter_mut().zip(x) {
                *gradient *= slope(*x);
            }
        });
    }
}
