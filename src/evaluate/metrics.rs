use serde::{Deserialize, Serialize};

/// Equal-width confidence bins of the expected calibration error.
const BINS: usize = 15;

/// Why logits could not be judged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// The logits are not one row of `classes` values for each label.
    #[error("{logits} logits for {labels} images of {classes} classes")]
    Shape {
        /// Values given.
        logits: usize,
        /// Labels given.
        labels: usize,
        /// Classes.
        classes: usize,
    },
    /// A label that is no class.
    #[error("label {label} is beyond the {classes} classes of the logits")]
    Label {
        /// The label.
        label: u16,
        /// Classes.
        classes: usize,
    },
}

/// How good a network's logits are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Images judged.
    pub images: usize,
    /// Share of images whose largest logit is that of their class. The first wins a tie.
    pub top1: f64,
    /// Mean cross-entropy in nats.
    pub cross_entropy: f64,
    /// Expected calibration error: gap between confidence and accuracy, over 15 equal-width bins.
    pub ece: f64,
    /// Brier score: mean squared distance, over all classes, between the predicted distribution and
    /// the true class (Brier 1950); 0 is perfect, 2 the worst.
    pub brier: f64,
    /// Images with a logit that is infinite or not a number. They count as wrong in `top1` and are
    /// left out of the other figures.
    pub non_finite: usize,
}

impl Scores {
    /// What a network scores that could not be filled or run: no image is right.
    pub fn failed(images: usize) -> Self {
        Self { images, top1: 0.0, cross_entropy: 0.0, ece: 0.0, brier: 0.0, non_finite: images }
    }
}

/// Images of similar confidence: a point of the calibration curve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reliability {
    /// Number of images.
    pub images: usize,
    /// Sum of their confidences.
    pub confidence: f64,
    /// Images that were right.
    pub correct: usize,
}

impl Reliability {
    /// Adds the images of the same bin of another network.
    pub fn add(&mut self, other: &Self) {
        self.images += other.images;
        self.confidence += other.confidence;
        self.correct += other.correct;
    }
}

/// Judges logits batch by batch. The result does not depend on how the images are batched.
#[derive(Clone, Debug)]
pub struct Tally {
    classes: usize,
    images: usize,
    correct: usize,
    non_finite: usize,
    brier: f64,
    bins: [Reliability; BINS],
    wrong: Vec<bool>,
    losses: Vec<f64>,
}

impl Tally {
    /// Nothing judged yet.
    pub fn new(classes: usize) -> Self {
        Self {
            classes,
            images: 0,
            correct: 0,
            non_finite: 0,
            brier: 0.0,
            bins: Default::default(),
            wrong: Vec::new(),
            losses: Vec::new(),
        }
    }

    /// Judges rows of logits, one per label. On an error nothing is added.
    pub fn add(&mut self, logits: &[f32], labels: &[u16]) -> Result<(), MetricsError> {
        let classes = self.classes;
        if classes == 0 || labels.len().checked_mul(classes) != Some(logits.len()) {
            let (logits, labels) = (logits.len(), labels.len());
            return Err(MetricsError::Shape { logits, labels, classes });
        }
        if let Some(&label) = labels.iter().find(|&&label| usize::from(label) >= classes) {
            return Err(MetricsError::Label { label, classes });
        }
        for (row, &label) in logits.chunks_exact(classes).zip(labels) {
            self.add_image(row, label.into());
        }
        Ok(())
    }

    fn add_image(&mut self, row: &[f32], label: usize) {
        self.images += 1;
        if !row.iter().all(|logit| logit.is_finite()) {
            self.non_finite += 1;
            self.wrong.push(true);
            self.losses.push(f64::NAN);
            return;
        }
        let mut best = 0;
        for (class, logit) in row.iter().enumerate() {
            if *logit > row[best] {
                best = class;
            }
        }
        let largest = f64::from(row[best]);
        let powers = row.iter().map(|&logit| (f64::from(logit) - largest).exp());
        let (sum, squares) =
            powers.fold((0.0, 0.0), |(sum, squares), power| (sum + power, squares + power * power));
        let correct = usize::from(best == label);
        self.correct += correct;
        self.wrong.push(correct == 0);
        self.losses.push(sum.ln() + largest - f64::from(row[label]));
        let of_label = (f64::from(row[label]) - largest).exp() / sum;
        // Σ (p − y)² over the classes = Σ p² − 2 p[label] + 1.
        self.brier += squares / (sum * sum) - 2.0 * of_label + 1.0;
        let confidence = 1.0 / sum;
        // Bin k holds the confidences in (k / BINS, (k + 1) / BINS].
        let bin = (confidence * BINS as f64).ceil() as usize;
        let bin = &mut self.bins[bin.clamp(1, BINS) - 1];
        bin.confidence += confidence;
        bin.correct += correct;
        bin.images += 1;
    }

    /// The scores so far; all zero where no image allows a judgement.
    pub fn scores(&self) -> Scores {
        let finite = (self.images - self.non_finite).max(1) as f64;
        let gaps = self.bins.iter().map(|bin| (bin.correct as f64 - bin.confidence).abs());
        Scores {
            images: self.images,
            top1: self.correct as f64 / self.images.max(1) as f64,
            cross_entropy: self.losses.iter().filter(|loss| !loss.is_nan()).sum::<f64>() / finite,
            ece: gaps.sum::<f64>() / finite,
            brier: self.brier / finite,
            non_finite: self.non_finite,
        }
    }

    /// Which images were judged wrong, in their order.
    pub fn wrong(&self) -> &[bool] {
        &self.wrong
    }

    /// Cross-entropy of each image in nats, in their order; NaN where logits are not finite.
    pub fn losses(&self) -> &[f64] {
        &self.losses
    }

    /// The calibration curve so far: bins of equal width from confidence 0 to 1.
    pub fn reliability(&self) -> &[Reliability] {
        &self.bins
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;

    /// Logits of given probabilities.
    fn logits(probabilities: &[f32]) -> Vec<f32> {
        probabilities.iter().map(|probability| probability.ln() + 3.0).collect()
    }

    #[test]
    fn scores_equal_those_by_hand() {
        let mut tally = Tally::new(2);
        // Confidences 0.9 and 0.92 share bin 13 of (13/15, 14/15]; 0.6 falls into bin 8.
        let rows = logits(&[0.9, 0.1, 0.08, 0.92, 0.4, 0.6]);
        tally.add(&rows, &[0, 0, 1]).unwrap();
        let scores = tally.scores();
        assert_eq!((scores.images, scores.non_finite), (3, 0));
        assert_relative_eq!(scores.top1, 2.0 / 3.0);
        let entropy = -(0.9_f64.ln() + 0.08_f64.ln() + 0.6_f64.ln()) / 3.0;
        assert_relative_eq!(scores.cross_entropy, entropy, max_relative = 1e-6);
        let brier = (2.0 * 0.1_f64.powi(2) + 2.0 * 0.92_f64.powi(2) + 2.0 * 0.4_f64.powi(2)) / 3.0;
        assert_relative_eq!(scores.brier, brier, max_relative = 1e-6);
        let gap = ((1.0 - 0.9 - 0.92_f64).abs() + (1.0 - 0.6_f64).abs()) / 3.0;
        assert_relative_eq!(scores.ece, gap, max_relative = 1e-6);
    }

    #[test]
    fn batching_does_not_matter() {
        let rows = logits(&[0.7, 0.2, 0.1, 0.3, 0.3, 0.4, 0.1, 0.1, 0.8]);
        let mut whole = Tally::new(3);
        whole.add(&rows, &[0, 1, 2]).unwrap();
        let mut parts = Tally::new(3);
        parts.add(&rows[..3], &[0]).unwrap();
        parts.add(&rows[3..], &[1, 2]).unwrap();
        assert_eq!(whole.scores(), parts.scores());
    }

    #[test]
    fn ties_go_to_the_first_class() {
        let mut tally = Tally::new(4);
        tally.add(&[0.0; 8], &[0, 1]).unwrap();
        let scores = tally.scores();
        assert_relative_eq!(scores.top1, 0.5);
        assert_relative_eq!(scores.cross_entropy, 4_f64.ln());
        assert_relative_eq!(scores.ece, 0.25);
        assert_relative_eq!(scores.brier, 0.75);
    }

    #[test]
    fn huge_logits_do_not_overflow() {
        let mut tally = Tally::new(2);
        tally.add(&[1e30, -1e30], &[1]).unwrap();
        assert_relative_eq!(tally.scores().cross_entropy, 2e30, max_relative = 1e-6);
        assert_relative_eq!(tally.scores().ece, 1.0);
    }

    #[test]
    fn broken_logits_are_wrong_and_counted() {
        let mut tally = Tally::new(2);
        tally.add(&[f32::NAN, 1.0, f32::INFINITY, 0.0, 9.0, 9.0], &[0, 0, 0]).unwrap();
        let scores = tally.scores();
        assert_eq!(scores.non_finite, 2);
        assert_relative_eq!(scores.top1, 1.0 / 3.0);
        assert_relative_eq!(scores.cross_entropy, 2_f64.ln());
        assert_eq!(Tally::new(2).scores().top1, 0.0);
    }

    #[test]
    fn unfit_input_is_an_error() {
        let mut tally = Tally::new(2);
        let shape = MetricsError::Shape { logits: 3, labels: 1, classes: 2 };
        assert_eq!(tally.add(&[0.0; 3], &[0]), Err(shape));
        assert_eq!(tally.add(&[0.0; 2], &[2]), Err(MetricsError::Label { label: 2, classes: 2 }));
        assert!(Tally::new(0).add(&[], &[0]).is_err());
        assert_eq!(tally.scores().images, 0);
    }
}
