//! Cross-entropy, and what else logits say.

/// The loss of a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossOutcome {
    /// Mean cross-entropy.
    pub loss: f32,
    /// Rows whose label has the largest logit.
    pub correct: usize,
}

/// Mean softmax cross-entropy of the first `labels.len()` rows of `logits` (`[rows, classes]`),
/// with label smoothing. `gradient`, of the same shape as `logits`, is overwritten and is zero for
/// further rows.
///
/// # Panics
/// If there are fewer rows than labels.
pub fn cross_entropy(
    logits: &[f32],
    labels: &[u16],
    smoothing: f32,
    gradient: &mut [f32],
    classes: usize,
) -> LossOutcome {
    gradient.fill(0.0);
    let share = 1.0 / labels.len().max(1) as f32;
    let (mut loss, mut correct) = (0.0, 0);
    let rows = logits.chunks_exact(classes).zip(gradient.chunks_exact_mut(classes));
    for ((logits, gradient), &label) in rows.zip(labels) {
        let label = usize::from(label);
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let total: f32 = logits.iter().map(|logit| (logit - largest).exp()).sum();
        let log_total = total.ln() + largest;
        for (class, (gradient, logit)) in gradient.iter_mut().zip(logits).enumerate() {
            let target =
                smoothing / classes as f32 + if class == label { 1.0 - smoothing } else { 0.0 };
            let log_probability = logit - log_total;
            loss -= share * target * log_probability;
            *gradient = share * (log_probability.exp() - target);
        }
        correct += usize::from(likeliest(logits) == Some(label));
    }
    LossOutcome { loss, correct }
}

/// The class with the largest logit, or probability, of a row; the last of several, `None` without classes.
pub fn likeliest(row: &[f32]) -> Option<usize> {
    (0..row.len()).max_by(|&one, &other| row[one].total_cmp(&row[other]))
}

/// Softmax of every row of `logits`, `[rows, classes]`.
pub fn probabilities(logits: &[f32], classes: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(logits.len());
    for row in logits.chunks(classes.max(1)) {
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let total: f32 = row.iter().map(|logit| (logit - largest).exp()).sum();
        out.extend(row.iter().map(|logit| (logit - largest).exp() / total));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_abs_diff_eq;

    #[test]
    fn the_gradient_is_the_derivative() {
        let logits = [0.3, -1.0, 2.0, 0.1, 0.2, 0.3, 9.0, 9.0, 9.0];
        let labels = [2, 0];
        let mut gradient = [1.0; 9];
        let outcome = cross_entropy(&logits, &labels, 0.1, &mut gradient, 3);
        assert_eq!(outcome.correct, 1);
        for index in 0..9 {
            let at = |step: f32| {
                let mut moved = logits;
                moved[index] += step;
                cross_entropy(&moved, &labels, 0.1, &mut [0.0; 9], 3).loss
            };
            let numeric = (at(1e-2) - at(-1e-2)) / 2e-2;
            assert_abs_diff_eq!(gradient[index], numeric, epsilon = 1e-3);
        }
    }
}
