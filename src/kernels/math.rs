//! Elementary functions in a form that the compiler vectorises.

/// e^x with a relative error below 2e-7 for |x| ≤ 87; saturates beyond.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const MAGIC: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 87.0);
    let rounded = x * std::f32::consts::LOG2_E + MAGIC;
    let n = rounded - MAGIC;
    let r = x - n * 0.693_359_4 - n * -2.121_944_4e-4;
    let poly = 1.987_569_1e-4;
    let poly = poly * r + 1.398_2e-3;
    let poly = poly * r + 8.333_452e-3;
    let poly = poly * r + 4.166_579_6e-2;
    let poly = poly * r + 1.666_666_5e-1;
    let poly = poly * r + 0.5;
    let value = poly * r * r + r + 1.0;
    // The low bits of `rounded` are n as an integer.
    let exponent = rounded.to_bits().wrapping_sub(MAGIC.to_bits()).wrapping_add(127);
    value * f32::from_bits(exponent << 23)
}

/// 1 / (1 + e^-x)
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// ln(1 + e^x), absolute error below 2e-7 beside that of x.
#[inline(always)]
pub(crate) fn softplus(x: f32) -> f32 {
    // ln(1 + z) = 2 artanh(z / (2 + z)), and z ≤ 1.
    let z = exp(-x.abs());
    let s = z / (2.0 + z);
    let square = s * s;
    let series = 1.0 / 13.0;
    let series = series * square + 1.0 / 11.0;
    let series = series * square + 1.0 / 9.0;
    let series = series * square + 1.0 / 7.0;
    let series = series * square + 1.0 / 5.0;
    let series = series * square + 1.0 / 3.0;
    let series = series * square + 1.0;
    (if x < 0.0 { 0.0 } else { x }) + 2.0 * s * series
}

/// Hyperbolic tangent, absolute error below 2e-7.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    1.0 - 2.0 / (1.0 + exp(2.0 * x))
}

/// Error function, absolute error below 2e-7 (Abramowitz and Stegun 7.1.26).
#[inline(always)]
pub(crate) fn erf(x: f32) -> f32 {
    let a = x.abs();
    let t = 1.0 / (1.0 + 0.327_591_1 * a);
    let poly = 1.061_405_4;
    let poly = poly * t - 1.453_152;
    let poly = poly * t + 1.421_413_8;
    let poly = poly * t - 0.284_496_74;
    let poly = poly * t + 0.254_829_6;
    (1.0 - poly * t * exp(-a * a)).copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn agrees_with_the_standard_library() {
        for step in -860..=860 {
            let x = step as f32 / 10.0;
            assert_relative_eq!(exp(x), x.exp(), max_relative = 5e-7);
            assert_relative_eq!(tanh(x), x.tanh(), epsilon = 3e-7);
        }
        assert_relative_eq!(erf(0.5), 0.520_499_9, epsilon = 3e-7);
        assert_relative_eq!(erf(-2.0), -0.995_322_3, epsilon = 3e-7);
        assert!(exp(f32::NAN).is_nan());
    }
}
