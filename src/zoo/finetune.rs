//! Training one network from the weights that a predictor wrote.

use std::{collections::VecDeque, mem};

use rand_chacha::ChaCha8Rng;

use crate::{
    data::Batcher,
    execute::{Images, NormStatistics, Program, Scratch},
    graph::{Architecture, Weights},
    kernels::cross_entropy,
};

use super::{Score, Training, optimiser::Descent};

/// Steps that the training score is a mean over.
const RECENT: usize = 50;
/// Validation images per pass.
const PASS: usize = 100;

/// Images that snapshots are judged on, normalised, NCHW.
pub(super) struct ValidationImages {
    pub images: Vec<f32>,
    pub labels: Vec<u16>,
}

/// What a network is trained with.
#[derive(Clone, Copy)]
pub(super) struct Setup<'a> {
    pub program: &'a Program,
    pub architecture: &'a Architecture,
    pub batcher: &'a Batcher<'a>,
    /// Channels and side of the images.
    pub shape: [usize; 2],
    /// The parent's calibration batch, NCHW.
    pub calibration: &'a [f32],
    pub training: &'a Training,
    /// Steps of the whole run.
    pub steps: u64,
}

/// A network in training. Batch normalisation takes its statistics from the parent's calibration
/// batch, as it did when the parent was trained, so that the running statistics of a snapshot, which
/// are measured on the same images, are those that its weights were trained with.
pub(super) struct FineTuning<'a> {
    setup: Setup<'a>,
    descent: Descent<'a>,
    random: ChaCha8Rng,
    weights: Weights,
    recent: VecDeque<Score>,
    scratch: Scratch,
}

impl<'a> FineTuning<'a> {
    /// Starts from weights.
    pub(super) fn new(setup: Setup<'a>, weights: Weights, random: ChaCha8Rng) -> Self {
        let Setup { architecture, training, steps, .. } = setup;
        let takes_statistics = architecture
            .order
            .iter()
            .any(|&node| architecture.dag[node].op_type == "BatchNormalization");
        Self {
            // Without statistics to take, the calibration batch would be work for nothing.
            setup: match takes_statistics {
                true => setup,
                false => Setup { calibration: &[], ..setup },
            },
            descent: Descent::new(training, architecture, steps),
            random,
            weights,
            recent: VecDeque::with_capacity(RECENT),
            scratch: Scratch::default(),
        }
    }

    /// Steps taken.
    pub(super) fn step(&self) -> u64 {
        self.descent.step
    }

    /// The mean over the last steps, and forgets them; `None` if there were none since it was asked
    /// before.
    pub(super) fn recent(&mut self) -> Option<Score> {
        let recent = mem::take(&mut self.recent);
        let count = recent.len() as f64;
        let mean = |of: fn(&Score) -> f64| recent.iter().map(of).sum::<f64>() / count;
        (count > 0.0).then(|| Score {
            loss: mean(|score| score.loss),
            accuracy: mean(|score| score.accuracy),
        })
    }

    /// One step; `false` if loss or gradient are not finite, and then nothing has changed.
    pub(super) fn advance(&mut self) -> bool {
        let Setup { program, batcher, shape, calibration, training, .. } = self.setup;
        let (mut images, labels) = batcher.batch(training.batch, &mut self.random);
        let count = labels.len();
        images.extend_from_slice(calibration);
        let view = view(&images, shape);
        let rows = if view.batch > count { count..view.batch } else { 0..count };
        let mut correct = 0;
        let (smoothing, classes) = (training.label_smoothing, program.classes());
        let (loss, gradients) = program.gradients(
            &self.weights,
            view,
            &NormStatistics::Measured { rows },
            &mut |logits, gradient| {
                let outcome = cross_entropy(logits, &labels, smoothing, gradient, classes);
                correct = outcome.correct;
                outcome.loss
            },
            false,
            &mut self.scratch,
        );
        if !loss.is_finite() || !self.descent.descend(&mut self.weights, &gradients.parameters) {
            return false;
        }
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        let accuracy = correct as f64 / count as f64;
        self.recent.push_back(Score { loss: loss.into(), accuracy });
        true
    }

    /// The weights with running statistics measured on the calibration batch.
    pub(super) fn snapshot(&mut self) -> Weights {
        let mut weights = self.weights.clone();
        let Setup { program, shape, calibration, .. } = self.setup;
        if calibration.is_empty() {
            return weights;
        }
        let images = view(calibration, shape);
        for measured in program.statistics(&self.weights, images, &mut self.scratch) {
            weights.set(measured.mean, measured.means);
            weights.set(measured.variance, measured.variances);
        }
        weights
    }

    /// Evaluates weights in inference mode; `None` if the loss is not finite.
    pub(super) fn judge(
        &mut self,
        weights: &Weights,
        validation: &ValidationImages,
    ) -> Option<Score> {
        let Setup { program, shape: shape @ [channels, size], .. } = self.setup;
        let (mut loss, mut correct) = (0.0, 0);
        let passes = validation.images.chunks(PASS * channels * size * size);
        for (images, labels) in passes.zip(validation.labels.chunks(PASS)) {
            let images = view(images, shape);
            let running = NormStatistics::Running;
            let logits = program.logits(weights, images, &running, &mut self.scratch);
            let mut gradient = vec![0.0; logits.len()];
            let outcome = cross_entropy(&logits, labels, 0.0, &mut gradient, program.classes());
            loss += f64::from(outcome.loss) * labels.len() as f64;
            correct += outcome.correct;
        }
        let count = validation.labels.len() as f64;
        let score = Score { loss: loss / count, accuracy: correct as f64 / count };
        score.loss.is_finite().then_some(score)
    }
}

fn view(data: &[f32], [channels, size]: [usize; 2]) -> Images<'_> {
    let batch = data.len() / (channels * size * size);
    Images { batch, channels, height: size, width: size, data }
}
