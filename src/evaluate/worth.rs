//! Accuracy measured in epochs of training.

/// The epochs of training after which a network is as accurate as `top1`, by a learning curve of
/// (epochs, top-1) in ascending order of epochs: straight from guessing to the first point, then
/// straight in the logarithm of epochs. Better than the last point counts as the last. `None`
/// without a curve.
pub fn epochs_worth(curve: &[(f64, f64)], top1: f64, classes: usize) -> Option<f64> {
    let chance = 1.0 / classes.max(1) as f64;
    let &(first, start) = curve.first()?;
    if top1 <= start {
        let share = (top1 - chance) / (start - chance).max(f64::MIN_POSITIVE);
        return Some(first * share.clamp(0.0, 1.0));
    }
    for pair in curve.windows(2) {
        let [(from, low), (to, high)] = [pair[0], pair[1]];
        if top1 <= high {
            let share = (top1 - low) / (high - low).max(f64::MIN_POSITIVE);
            return Some((from.ln() + share.clamp(0.0, 1.0) * (to / from).ln()).exp());
        }
    }
    curve.last().map(|&(epochs, _)| epochs)
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;

    #[test]
    fn epochs_are_read_off_the_curve() {
        let curve = [(1.0, 0.4), (4.0, 0.6), (16.0, 0.7)];
        let worth = |top1| epochs_worth(&curve, top1, 10).unwrap();
        assert_relative_eq!(worth(0.05), 0.0);
        assert_relative_eq!(worth(0.25), 0.5);
        assert_relative_eq!(worth(0.4), 1.0);
        assert_relative_eq!(worth(0.5), 2.0, max_relative = 1e-9);
        assert_relative_eq!(worth(0.65), 8.0, max_relative = 1e-9);
        assert_relative_eq!(worth(0.9), 16.0);
        assert_eq!(epochs_worth(&[], 0.5, 10), None);
    }
}
