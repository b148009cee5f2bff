//! How different the networks are that a stochastic predictor draws for one graph (Fort et al. 2019,
//! *Deep Ensembles: A Loss Landscape Perspective*).

use serde::{Deserialize, Serialize};

use super::{disagreement, error_overlap};

/// Samples of one graph beside each other, as means over pairs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Diversity {
    /// Networks that could be judged.
    pub samples: usize,
    /// See [`error_overlap`].
    pub overlap: f64,
    /// See [`disagreement`].
    pub disagreement: f64,
}

impl Diversity {
    /// Of the mistakes of every sample, by image; `None` for fewer than two samples.
    pub fn of(samples: &[&[bool]]) -> Option<Self> {
        let pairs: Vec<(&[bool], &[bool])> = samples
            .iter()
            .enumerate()
            .flat_map(|(index, first)| {
                samples[index + 1..].iter().map(move |other| (*first, *other))
            })
            .collect();
        let mean = |of: fn(&[bool], &[bool]) -> f64| {
            pairs.iter().map(|(first, other)| of(first, other)).sum::<f64>() / pairs.len() as f64
        };
        (!pairs.is_empty()).then(|| Self {
            samples: samples.len(),
            overlap: mean(error_overlap),
            disagreement: mean(disagreement),
        })
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;

    use super::*;

    #[test]
    fn pairs_of_samples_are_averaged() {
        let [a, b] = [[true, true, false, false], [true, false, true, false]];
        let diversity = Diversity::of(&[&a, &a, &b]).unwrap();
        assert_eq!(diversity.samples, 3);
        assert_abs_diff_eq!(diversity.overlap, (1.0 + 2.0 / 3.0) / 3.0);
        assert_abs_diff_eq!(diversity.disagreement, 1.0 / 3.0);
        assert_eq!(Diversity::of(&[&a]), None);
    }
}
