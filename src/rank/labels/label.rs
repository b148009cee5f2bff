//! What is known of one trained graph.

use serde::{Deserialize, Serialize};

/// How all graphs of a file are trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelSetting {
    /// Of the data set that images come from.
    pub data_hash: String,
    /// Training images.
    pub images: usize,
    /// Further images that accuracies are measured on.
    pub validation: usize,
    /// Passes over the training images.
    pub epochs: usize,
    /// Of initialisation and of the order of images.
    pub seed: u64,
}

/// The learning curve of one graph. Its space and its seed make it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Label {
    /// Name of the space.
    pub space: String,
    /// Its seed there.
    pub seed: u64,
    /// Mean training loss of every epoch, in nats.
    pub loss: Vec<f32>,
    /// Share of the validation images that are classified right, after every epoch.
    pub top1: Vec<f64>,
    /// Seconds of training.
    pub seconds: f64,
    /// Why there is no curve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl Label {
    /// Where training leads: the negative training loss, extended by so many times its fall over the last
    /// two epochs. `None` of less than three epochs, or of a loss that is no number.
    ///
    /// A few epochs favour networks that learn fast over those that learn much; the extension makes up for a
    /// part of that. The loss, a mean over all training images, is less noisy than the accuracy.
    pub fn forecast(&self, extension: f64) -> Option<f64> {
        let [.., earlier, _, last] = self.loss[..] else { return None };
        let (earlier, last) = (f64::from(earlier), f64::from(last));
        Some(extension * (earlier - last) - last).filter(|forecast| forecast.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;

    #[test]
    fn a_curve_that_still_falls_is_extended() {
        let label = |loss: &[f32]| Label {
            space: "s".to_owned(),
            seed: 0,
            loss: loss.to_vec(),
            top1: Vec::new(),
            seconds: 0.0,
            problem: None,
        };
        let falls = label(&[2.3, 2.0, 1.75, 1.5]);
        assert_relative_eq!(falls.forecast(0.0).unwrap(), -1.5);
        assert_relative_eq!(falls.forecast(2.0).unwrap(), -0.5, epsilon = 1e-6);
        assert_eq!(label(&[2.3, 2.0]).forecast(1.0), None);
        assert_eq!(label(&[2.3, 2.0, f32::NAN]).forecast(1.0), None);
    }
}
