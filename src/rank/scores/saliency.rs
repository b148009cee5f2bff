//! Scores of one backward pass of the cross-entropy at He initialisation.

use crate::rank::{Score, ScoreError, Subject};

use super::{saliency, weighted};

/// Single-shot pruning saliency.
struct Snip;

impl Score for Snip {
    fn name(&self) -> &'static str {
        "snip"
    }

    fn about(&self) -> &'static str {
        "Σ |weight · gradient| of the loss (Lee et al. 2019, Abdelfattah et al. 2021)"
    }

    fn of(&self, subject: &Subject) -> Result<f64, ScoreError> {
        let gradients = subject.backward()?;
        Ok(saliency(&subject.architecture, subject.weights(), gradients))
    }
}

/// Norm of the gradient.
struct GradNorm;

impl Score for GradNorm {
    fn name(&self) -> &'static str {
        "grad-norm"
    }

    fn about(&self) -> &'static str {
        "sum over layers of the Euclidean norm of the loss's gradient (Abdelfattah et al. 2021)"
    }

    fn of(&self, subject: &Subject) -> Result<f64, ScoreError> {
        let gradients = subject.backward()?;
        let tensors = weighted(&subject.architecture, subject.weights(), gradients);
        let square = |[_, gradient]: [&[f32]; 2]| {
            gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>()
        };
        Ok(tensors.map(|tensor| square(tensor).sqrt()).sum())
    }
}

pub(in crate::rank) fn scores() -> Vec<Box<dyn Score>> {
    vec![Box::new(Snip), Box::new(GradNorm)]
}
