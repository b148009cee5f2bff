//! Several networks of one graph as one: the mean of their logits, and which of them agrees most with
//! the others.

use crate::kernels::probabilities;

/// The mean of several networks' values: their logits on the same images, or one of their tensors.
pub fn mean_of(members: &[&[f32]]) -> Vec<f32> {
    let mut mean = vec![0.0; members.first().map_or(0, |values| values.len())];
    for values in members {
        for (mean, value) in mean.iter_mut().zip(*values) {
            *mean += value / members.len() as f32;
        }
    }
    mean
}

/// The network whose cross-entropy under the mean probabilities of all is the lowest: the one that the
/// others would choose. No label is needed. The first wins a tie; `None` without networks or where none
/// is finite.
pub fn consensus(members: &[&[f32]], classes: usize) -> Option<usize> {
    let probabilities: Vec<Vec<f32>> =
        members.iter().map(|logits| probabilities(logits, classes)).collect();
    let references: Vec<&[f32]> = probabilities.iter().map(Vec::as_slice).collect();
    let mean = mean_of(&references);
    let loss = |own: &Vec<f32>| -> f32 {
        own.iter().zip(&mean).map(|(own, mean)| -mean * own.max(1e-9).ln()).sum()
    };
    let losses = probabilities.iter().map(loss).enumerate();
    let finite = losses.filter(|(_, loss)| loss.is_finite());
    finite.min_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_abs_diff_eq;

    #[test]
    fn the_member_that_agrees_with_the_others_is_chosen() {
        let [one, two, stranger] =
            [[2.0, 0.0, 0.0, 2.0], [1.8, 0.1, 0.0, 1.5], [0.0, 3.0, 3.0, 0.0]];
        assert_eq!(consensus(&[&stranger, &one, &two], 2), Some(2));
        assert_eq!(consensus(&[&[f32::NAN; 4]], 2), None);
        assert_eq!(consensus(&[], 2), None);
    }

    #[test]
    fn values_are_averaged() {
        let mean = mean_of(&[&[1.0, 3.0], &[2.0, -1.0]]);
        assert_abs_diff_eq!(mean[0], 1.5);
        assert_abs_diff_eq!(mean[1], 1.0);
    }
}
