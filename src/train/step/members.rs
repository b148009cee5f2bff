//! Samples of one posterior, judged together on the same images.

use crate::kernels::{elementwise::accumulate, likeliest, probabilities};

/// The members of a group so far.
#[derive(Default)]
pub(super) struct Together {
    /// Sum of their probabilities, `[images, classes]`.
    probabilities: Vec<f32>,
    members: usize,
}

impl Together {
    /// Takes in a member, and weighs the gradient of its cross-entropy, image by image, by
    /// 1 − share + share · members · (its part of the probability of the label): the gradient of
    /// (1 − share) · its own loss + share · the loss of the members' mean probability, those before it
    /// held fixed. Returns how many images the mean gets right.
    pub(super) fn join(
        &mut self,
        logits: &[f32],
        labels: &[u16],
        gradient: &mut [f32],
        classes: usize,
        share: f32,
    ) -> usize {
        self.members += 1;
        self.probabilities.resize(labels.len() * classes, 0.0);
        let own = probabilities(&logits[..labels.len() * classes], classes);
        accumulate(&own, &mut self.probabilities);
        let rows = own.chunks_exact(classes).zip(gradient.chunks_exact_mut(classes));
        let rows = rows.zip(self.probabilities.chunks_exact(classes));
        let mut right = 0;
        for (((own, gradient), sum), &label) in rows.zip(labels) {
            let label = usize::from(label);
            let part = own[label] / sum[label].max(f32::MIN_POSITIVE);
            let weight = 1.0 - share + share * self.members as f32 * part;
            gradient.iter_mut().for_each(|gradient| *gradient *= weight);
            right += usize::from(likeliest(sum) == Some(label));
        }
        right
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::cross_entropy;
    use approx::assert_abs_diff_eq;

    /// −ln of the mean probability of the label, over two members.
    fn joint(first: &[f32], second: &[f32], label: usize) -> f32 {
        let probability = |logits: &[f32]| {
            let total: f32 = logits.iter().map(|logit| logit.exp()).sum();
            logits[label].exp() / total
        };
        -(0.5 * (probability(first) + probability(second))).ln()
    }

    #[test]
    fn the_gradient_is_that_of_the_mean_probability() {
        let (first, second) = ([0.3, -1.0, 0.5], [1.0, 0.2, -0.4]);
        let mut together = Together::default();
        let mut gradient = [0.0; 3];
        cross_entropy(&first, &[2], 0.0, &mut gradient, 3);
        let alone = gradient;
        together.join(&first, &[2], &mut gradient, 3, 1.0);
        assert_eq!(gradient, alone);
        cross_entropy(&second, &[2], 0.0, &mut gradient, 3);
        together.join(&second, &[2], &mut gradient, 3, 1.0);
        for class in 0..3 {
            let step = 1e-2;
            let [mut low, mut high] = [second; 2];
            low[class] -= step;
            high[class] += step;
            let numeric = (joint(&first, &high, 2) - joint(&first, &low, 2)) / (2.0 * step);
            // The loss of a group is the sum over its members, so the mean counts once for each.
            assert_abs_diff_eq!(gradient[class], 2.0 * numeric, epsilon = 1e-3);
        }
    }
}
