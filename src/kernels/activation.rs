//! Elementwise non-linearities, alone or after a per-channel affine map.

use super::{
    Activation, Pixel,
    elementwise::{self, STRIP, gathered, repeated},
    math::{erf, exp, sigmoid, softplus, tanh},
    pixel::{flat, flat_mut},
    simd::vectorised,
};

/// Runs `$body` with `$value` and `$slope` bound to the function and its derivative. Written such
/// that NaN stays NaN.
macro_rules! with_function {
    ($activation:expr, $value:ident, $slope:ident => $body:expr) => {
        match $activation {
            Activation::Relu => with_function!(@ $value, $slope, $body,
                |y: f32| if y < 0.0 { 0.0 } else { y }, |y: f32| if y > 0.0 { 1.0 } else { 0.0 }),
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
            Activation::Selu { alpha, gamma } => with_function!(@ $value, $slope, $body,
                |y: f32| gamma * if y > 0.0 { y } else { alpha * (exp(y) - 1.0) },
                |y: f32| gamma * if y > 0.0 { 1.0 } else { alpha * exp(y) }),
            Activation::Celu(alpha) => with_function!(@ $value, $slope, $body,
                |y: f32| if y > 0.0 { y } else { alpha * (exp(y / alpha) - 1.0) },
                |y: f32| if y > 0.0 { 1.0 } else { exp(y / alpha) }),
            Activation::Softplus => with_function!(@ $value, $slope, $body,
                |y: f32| softplus(y), |y: f32| sigmoid(y)),
            Activation::Softsign => with_function!(@ $value, $slope, $body,
                |y: f32| y / (1.0 + y.abs()),
                |y: f32| { let s = 1.0 / (1.0 + y.abs()); s * s }),
            Activation::Mish => with_function!(@ $value, $slope, $body,
                |y: f32| y * tanh(softplus(y)),
                |y: f32| { let t = tanh(softplus(y)); t + y * (1.0 - t * t) * sigmoid(y) }),
            Activation::Clip { low, high } => with_function!(@ $value, $slope, $body,
                |y: f32| if y < low { low } else if y > high { high } else { y },
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
    pub fn affine(
        activation: Option<Activation>,
        x: &[Pixel],
        scale: Pixel,
        shift: Pixel,
        out: &mut [Pixel],
    ) {
        let Some(activation) = activation else {
            return elementwise::affine(x, scale, shift, out);
        };
        let (scale, shift) = (repeated(scale), repeated(shift));
        with_function!(activation, value, slope => {
            for (out, x) in flat_mut(out).chunks_mut(STRIP).zip(flat(x).chunks(STRIP)) {
                for (((out, x), scale), shift) in out.iter_mut().zip(x).zip(&scale).zip(&shift) {
                    *out = value(scale * x + shift);
                }
            }
        });
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
        let [scale, shift, centre] = [repeated(scale), repeated(shift), repeated(centre)];
        let (mut total, mut along) = ([0.0; STRIP], [0.0; STRIP]);
        for (gradient, x) in flat_mut(gradient).chunks_mut(STRIP).zip(flat(x).chunks(STRIP)) {
            if let Some(activation) = activation {
                with_function!(activation, value, slope => {
                    let constants = scale.iter().zip(&shift);
                    for ((gradient, x), (scale, shift)) in
                        gradient.iter_mut().zip(x).zip(constants)
                    {
                        *gradient *= slope(scale * x + shift);
                    }
                });
            }
            let sums = total.iter_mut().zip(&mut along);
            for (((gradient, x), centre), (total, along)) in
                gradient.iter().zip(x).zip(&centre).zip(sums)
            {
                *total += gradient;
                *along += gradient * (x - centre);
            }
        }
        [gathered(&total), gathered(&along)]
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
