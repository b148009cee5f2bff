//! Several networks of one graph as one: the mean of their logits, and which of them agrees most with
//! the others.

use crate::kernels::likeliest;

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

/// The network whose classes are most often those of another one. No label is needed. The first wins a
/// tie; `None` without networks or where none is finite.
pub fn consensus(members: &[&[f32]], classes: usize) -> Option<usize> {
    if classes == 0 {
        return None;
    }
    let is_finite = |&member: &usize| members[member].iter().all(|logit| logit.is_finite());
    let finite: Vec<usize> = (0..members.len()).filter(is_finite).collect();
    let answers: Vec<Vec<Option<usize>>> = finite
        .iter()
        .map(|&member| members[member].chunks_exact(classes).map(likeliest).collect())
        .collect();
    let shared = |one: usize, other: usize| {
        answers[one].iter().zip(&answers[other]).filter(|(one, other)| one == other).count()
    };
    let agreement = |one: usize| (0..finite.len()).map(|other| shared(one, other)).sum::<usize>();
    let best = (0..finite.len()).rev().max_by_key(|&member| agreement(member));
    best.map(|best| finite[best])
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_abs_diff_eq;

    #[test]
    fn the_member_that_agrees_with_the_others_is_chosen() {
        let [one, two, stranger] = [
            [2.0, 0.0, 0.0, 2.0, 0.0, 1.0],
            [1.8, 0.1, 0.0, 1.5, 1.0, 0.0],
            [0.0, 3.0, 3.0, 0.0, 2.0, 0.0],
        ];
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
