//! Elementwise non-linearities and their slopes.

use super::{
    super::{Activation, activation, simd::at_every_level},
    assert_close,
};

fn erf(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= 2.0 * x * x / f64::from(2 * n + 1);
        sum += term;
    }
    sum * (-x * x).exp() * std::f64::consts::FRAC_2_SQRT_PI
}

pub(super) fn reference(activation: Activation, x: f64) -> f64 {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    match activation {
        Activation::Relu => x.max(0.0),
        Activation::LeakyRelu(alpha) => x.max(0.0) + f64::from(alpha) * x.min(0.0),
        Activation::Gelu => 0.5 * x * (1.0 + erf(x / std::f64::consts::SQRT_2)),
        Activation::GeluTanh => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
            0.5 * x * (1.0 + inner.tanh())
        }
        Activation::Sigmoid => sigmoid(x),
        Activation::Silu => x * sigmoid(x),
        Activation::HardSigmoid { alpha, beta } => {
            (f64::from(alpha) * x + f64::from(beta)).clamp(0.0, 1.0)
        }
        Activation::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
        Activation::Tanh => x.tanh(),
        Activation::Elu(alpha) => {
            if x > 0.0 {
                x
            } else {
                f64::from(alpha) * x.exp_m1()
            }
        }
        Activation::Selu { alpha, gamma } => {
            f64::from(gamma) * if x > 0.0 { x } else { f64::from(alpha) * x.exp_m1() }
        }
        Activation::Celu(alpha) if x <= 0.0 => f64::from(alpha) * (x / f64::from(alpha)).exp_m1(),
        Activation::Celu(_) => x,
        Activation::Softplus => x.exp().ln_1p(),
        Activation::Softsign => x / (1.0 + x.abs()),
        Activation::Mish => x * x.exp().ln_1p().tanh(),
        Activation::Clip { low, high } => x.clamp(low.into(), high.into()),
    }
}

const ACTIVATIONS: [Activation; 16] = [
    Activation::Relu,
    Activation::LeakyRelu(0.1),
    Activation::Gelu,
    Activation::GeluTanh,
    Activation::Sigmoid,
    Activation::Silu,
    Activation::HardSigmoid { alpha: 0.2, beta: 0.5 },
    Activation::HardSwish,
    Activation::Tanh,
    Activation::Elu(0.7),
    Activation::Selu { alpha: 1.673_263_2, gamma: 1.050_701 },
    Activation::Celu(0.7),
    Activation::Softplus,
    Activation::Softsign,
    Activation::Mish,
    Activation::Clip { low: -0.5, high: 2.0 },
];

#[test]
fn activations_and_their_slopes_are_exact() {
    at_every_level(|_| {
        // Odd, so that kinks are not among them.
        let x: Vec<f32> = (-400..=400).map(|step| (step as f32 + 0.37) / 66.0).collect();
        for activation in ACTIVATIONS {
            let mut out = vec![0.0; x.len()];
            activation::apply(activation, &x, &mut out);
            let values: Vec<f64> = x.iter().map(|&x| reference(activation, x.into())).collect();
            assert_close(&out, &values, &format!("{activation:?}"));
            let mut slopes = vec![1.0; x.len()];
            activation::apply_backward(activation, &x, &mut slopes);
            let slow: Vec<f64> = x
                .iter()
                .map(|&x| {
                    let at = |step: f64| reference(activation, f64::from(x) + step);
                    (at(1e-6) - at(-1e-6)) / 2e-6
                })
                .collect();
            assert_close(&slopes, &slow, &format!("slope of {activation:?}"));
        }
    });
}

#[test]
fn no_activation_hides_a_value_that_is_not_a_number() {
    at_every_level(|_| {
        for activation in ACTIVATIONS {
            let mut out = [0.0];
            activation::apply(activation, &[f32::NAN], &mut out);
            assert!(out[0].is_nan(), "{activation:?}");
        }
    });
}
