//! How likely a value is beside others that chance gave.

/// Degrees of freedom from which on Student's distribution is a normal one.
const MANY: usize = 100_000;

/// Probability that one more draw from where some values come from is at least so large, if they are normally
/// distributed: by Student's t, since their mean and deviation are estimated. `least` is the least deviation.
pub(super) fn probability_of_more(value: f64, drawn: &[f64], least: f64) -> f64 {
    let count = drawn.len() as f64;
    let mean = mean(drawn);
    let variance = drawn.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
    let deviation = variance.sqrt().max(least) * (1.0 + 1.0 / count).sqrt();
    upper_tail((value - mean) / deviation, drawn.len().saturating_sub(1).max(1))
}

/// P(Z ≥ z) of the standard normal distribution.
pub(super) fn normal_tail(z: f64) -> f64 {
    upper_tail(z, MANY)
}

/// Mean of some values.
pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// P(T ≥ t) of Student's distribution (Abramowitz & Stegun 1964, 26.7.3 and 26.7.4), to 15 digits after the point.
fn upper_tail(t: f64, freedom: usize) -> f64 {
    let angle = (t / (freedom as f64).sqrt()).atan();
    let (sine, cosine) = angle.sin_cos();
    let odd = freedom % 2;
    // 1 + 1/2 cos² + 1·3/(2·4) cos⁴ … for an even number of degrees, cos + 2/3 cos³ … for an odd one.
    let mut term = if odd == 1 { cosine } else { 1.0 };
    let mut sum = if freedom == 1 { 0.0 } else { term };
    for next in (2 + odd..freedom).step_by(2) {
        term *= cosine * cosine * (next - 1) as f64 / next as f64;
        sum += term;
    }
    let within = match odd {
        1 => (angle + sine * sum) * std::f64::consts::FRAC_2_PI,
        _ => sine * sum,
    };
    ((1.0 - within) / 2.0).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;

    #[test]
    fn tails_are_those_of_the_tables() {
        for (t, freedom, tail) in [
            (0.0, 20, 0.5),
            (1.725, 20, 0.05),
            (2.845, 20, 0.005),
            (-1.725, 20, 0.95),
            (6.314, 1, 0.05),
            (2.353, 3, 0.05),
            (1.753, 15, 0.05),
            (2.920, 2, 0.05),
        ] {
            assert_relative_eq!(upper_tail(t, freedom), tail, max_relative = 2e-3);
        }
        assert!(upper_tail(60.0, 20) < 1e-14);
    }

    #[test]
    fn few_draws_and_little_spread_make_nothing_certain() {
        let drawn = [0.1, 0.12, 0.08];
        assert!(probability_of_more(0.1, &drawn, 0.0) > 0.4);
        assert!(probability_of_more(0.2, &drawn, 0.0) < probability_of_more(0.2, &drawn, 0.1));
    }
}
