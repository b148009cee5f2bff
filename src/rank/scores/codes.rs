//! How well the pattern of active units tells images apart.

use crate::rank::{Score, ScoreError, Subject, spectrum::Symmetric};

struct Nwot;

impl Score for Nwot {
    fn name(&self) -> &'static str {
        "nwot"
    }

    fn about(&self) -> &'static str {
        "log-determinant of the agreement of activation patterns between images (Mellor et al. \
         2021); a unit is active where its non-linearity returns more than zero"
    }

    fn of(&self, subject: &Subject) -> Result<f64, ScoreError> {
        let images = subject.images()?;
        let batch = images.batch;
        let mut agree = vec![0u64; batch * batch];
        let mut units = 0;
        subject.activations(images, &mut |values| {
            let length = values.len() / batch.max(1);
            units += length;
            let codes: Vec<Vec<u64>> = values.chunks_exact(length.max(1)).map(code).collect();
            for (i, a) in codes.iter().enumerate() {
                for (j, b) in codes.iter().enumerate().take(batch) {
                    let differ: u32 = a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum();
                    agree[i * batch + j] += length as u64 - u64::from(differ);
                }
            }
        })?;
        if units == 0 {
            return Err(ScoreError::Lacks("non-linearity"));
        }
        let values = agree.into_iter().map(|count| count as f64).collect();
        Ok(Symmetric { size: batch, values }.log_determinant())
    }
}

/// One bit a unit.
fn code(values: &[f32]) -> Vec<u64> {
    let word =
        |values: &[f32]| values.iter().fold(0, |word, value| word << 1 | u64::from(*value > 0.0));
    values.chunks(64).map(word).collect()
}

pub(in crate::rank) fn scores() -> Vec<Box<dyn Score>> {
    vec![Box::new(Nwot)]
}
