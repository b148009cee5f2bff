//! Gradients that agree between batches.

use crate::{
    execute::Images,
    rank::{Score, ScoreError, Subject},
};

use super::weighted;

/// Parts of the probe batch whose gradients are compared.
const PARTS: usize = 2;

struct Zico;

impl Score for Zico {
    fn name(&self) -> &'static str {
        "zico"
    }

    fn about(&self) -> &'static str {
        "Σ over layers of log Σ mean |gradient| / deviation of the gradient, over two halves of \
         the batch (Li et al. 2023)"
    }

    fn of(&self, subject: &Subject) -> Result<f64, ScoreError> {
        let images = subject.images()?;
        let labels = subject.labels()?;
        let batch = images.batch / PARTS;
        if batch < 2 {
            return Err(ScoreError::Unfit("the batch is too small to be halved".to_owned()));
        }
        let length = images.data.len() / images.batch;
        let mut parts = Vec::new();
        for part in 0..PARTS {
            let data = &images.data[part * batch * length..][..batch * length];
            let view = Images { batch, data, ..images };
            let labels = &labels[part * batch..][..batch];
            parts.push(subject.cross_entropy(subject.weights(), view, labels)?.1);
        }
        let [first, second] = parts.as_slice() else { return Err(ScoreError::NotFinite) };
        let mut score = 0.0;
        let tensors = weighted(&subject.architecture, first, second);
        for [a, b] in tensors {
            let ratio = |(a, b): (&f32, &f32)| {
                let (a, b) = (f64::from(*a), f64::from(*b));
                let deviation = (a - b).abs() / 2.0;
                if deviation > 0.0 { (a.abs() + b.abs()) / 2.0 / deviation } else { 0.0 }
            };
            let sum: f64 = a.iter().zip(b).map(ratio).sum();
            score += if sum > 0.0 { sum.ln() } else { 0.0 };
        }
        Ok(score)
    }
}

pub(in crate::rank) fn scores() -> Vec<Box<dyn Score>> {
    vec![Box::new(Zico)]
}
