//! How differently a network treats different images.

use crate::rank::{Score, ScoreError, Subject, spectrum::Symmetric};

/// Keeps logarithms and reciprocals finite; the value of the reference code.
const FLOOR: f64 = 1e-5;

struct Jacov;

impl Score for Jacov {
    fn name(&self) -> &'static str {
        "jacov"
    }

    fn about(&self) -> &'static str {
        "how little the images' input gradients correlate (Mellor et al. 2021, first version)"
    }

    fn of(&self, subject: &Subject) -> Result<f64, ScoreError> {
        let images = subject.images()?;
        let (_, gradients) = subject.differentiate(
            subject.weights(),
            images,
            &mut |_, seeds| {
                seeds.fill(1.0);
                0.0
            },
            true,
        )?;
        let rows = gradients.images.unwrap_or_default();
        let length = rows.len() / images.batch.max(1);
        let mut normed = Vec::with_capacity(rows.len());
        for row in rows.chunks_exact(length.max(1)) {
            let mean = row.iter().map(|value| f64::from(*value)).sum::<f64>() / length as f64;
            let centred = row.iter().map(|value| f64::from(*value) - mean);
            let norm = centred.clone().map(|value| value * value).sum::<f64>().sqrt();
            normed.extend(centred.map(|value| value / norm));
        }
        let eigenvalues = Symmetric::gram(&normed, length).eigenvalues();
        let term = |value: &f64| (value + FLOOR).ln() + 1.0 / (value + FLOOR);
        Ok(-eigenvalues.iter().map(|value| term(&value.max(0.0))).sum::<f64>())
    }
}

pub(in crate::rank) fn scores() -> Vec<Box<dyn Score>> {
    vec![Box::new(Jacov)]
}
