//! How well a score tells two sets apart.

use serde::Serialize;

/// Area under the curve of true by false positives: how often a member scores higher than another one. One half
/// is chance.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Auc {
    /// The area.
    pub auc: f64,
    /// Lower end of its 95 % interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Auc {
    /// Of the scores of members and of others; ties count half. The interval is that of Hanley and McNeil
    /// (1982). One half, from 0 to 1, where either set is empty.
    pub fn of(members: &[f64], others: &[f64]) -> Self {
        if members.is_empty() || others.is_empty() {
            return Self { auc: 0.5, low: 0.0, high: 1.0 };
        }
        let mut sorted = others.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let below = |score: f64| {
            let less = sorted.partition_point(|&other| other < score);
            let equal = sorted.partition_point(|&other| other <= score) - less;
            less as f64 + equal as f64 / 2.0
        };
        let (m, n) = (members.len() as f64, others.len() as f64);
        let auc = members.iter().map(|&score| below(score)).sum::<f64>() / (m * n);
        let (both_members, both_others) = (auc / (2.0 - auc), 2.0 * auc * auc / (1.0 + auc));
        let variance = auc * (1.0 - auc)
            + (m - 1.0) * (both_members - auc * auc)
            + (n - 1.0) * (both_others - auc * auc);
        let reach = 1.96 * (variance.max(0.0) / (m * n)).sqrt();
        Self { auc, low: (auc - reach).max(0.0), high: (auc + reach).min(1.0) }
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;

    use super::*;

    #[test]
    fn the_area_is_the_share_of_pairs_in_order() {
        assert_eq!(Auc::of(&[3.0, 4.0], &[1.0, 2.0]).auc, 1.0);
        assert_eq!(Auc::of(&[1.0, 2.0], &[3.0, 4.0]).auc, 0.0);
        assert_eq!(Auc::of(&[1.0, 1.0], &[1.0]).auc, 0.5);
        assert_abs_diff_eq!(Auc::of(&[1.0, 3.0], &[2.0, 0.0]).auc, 0.75);
        assert_eq!(Auc::of(&[], &[1.0]), Auc { auc: 0.5, low: 0.0, high: 1.0 });
    }

    #[test]
    fn more_scores_make_a_narrower_interval() {
        let wave = |count: u32, shift: f64| -> Vec<f64> {
            (0..count).map(|it| (f64::from(it) * 2.399).sin() + shift).collect()
        };
        let few = Auc::of(&wave(20, 0.1), &wave(20, 0.0));
        let many = Auc::of(&wave(2000, 0.1), &wave(2000, 0.0));
        assert!(many.high - many.low < (few.high - few.low) / 5.0);
        assert!(few.low < 0.5 && many.low > 0.5 && many.high < 0.6);
    }
}
