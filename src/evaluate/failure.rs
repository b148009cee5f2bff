//! How often weights are of no use.

use serde::{Deserialize, Serialize};

use super::Scores;

/// 95th percentile of the standard normal distribution.
const NORMAL_95: f64 = 1.645;

/// Graphs on which weights are of no use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failures {
    /// Graphs judged.
    pub graphs: usize,
    /// No better than guessing: top-1 within the 95 % of a fair guess on as many images.
    pub at_chance: usize,
    /// A parameter without a value, or no file at all.
    pub unfilled: usize,
    /// Some image has logits that are infinite or not a number.
    pub non_finite: usize,
}

impl Failures {
    /// Counts a graph. `unfilled` says whether a parameter got no value.
    pub fn add(&mut self, scores: &Scores, classes: usize, unfilled: bool) {
        self.graphs += 1;
        self.at_chance += usize::from(at_chance(scores, classes));
        self.unfilled += usize::from(unfilled);
        self.non_finite += usize::from(!unfilled && scores.non_finite > 0);
    }
}

fn at_chance(scores: &Scores, classes: usize) -> bool {
    let chance = 1.0 / classes.max(1) as f64;
    let spread = (chance * (1.0 - chance) / scores.images.max(1) as f64).sqrt();
    scores.top1 <= chance + NORMAL_95 * spread
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_apart() {
        let scores = |top1| Scores { top1, non_finite: 0, ..Scores::failed(1000) };
        let mut failures = Failures::default();
        failures.add(&scores(0.11), 10, false);
        failures.add(&scores(0.12), 10, false);
        failures.add(&Scores::failed(1000), 10, true);
        failures.add(&Scores { top1: 0.5, ..Scores::failed(1000) }, 10, false);
        let expected = Failures { graphs: 4, at_chance: 2, unfilled: 1, non_finite: 1 };
        assert_eq!(failures, expected);
    }
}
