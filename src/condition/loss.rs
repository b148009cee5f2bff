//! The loss of a network on labelled images.

use std::sync::Arc;

use rayon::prelude::*;

use crate::{
    data::{Augmentation, Batcher, Dataset},
    execute::{Images, NormStatistics, Runner, Scratch, Scratches},
    graph::{Architecture, Weights},
    kernels::{cross_entropy, elementwise::accumulate},
    ops::{Registry, Summary, resolve_with_input},
    predictor::{CalibrationImages, InputConfig},
};

use super::ConditionError;

/// A network whose weights are fitted to images.
#[derive(Clone, Copy, Debug)]
pub struct Fitting<'a> {
    /// Resolved.
    pub architecture: &'a Architecture,
    /// Its operators.
    pub registry: &'a Arc<Registry>,
    /// How images are normalised.
    pub input: &'a InputConfig,
    /// What statistics of batch normalisations are measured on.
    pub images: &'a CalibrationImages,
}

/// Most images that are differentiated in one pass, if they are of the predictor's size; fewer of larger
/// ones, in bounded memory.
const PASS: usize = 64;
/// Fewest images of a pass: batch normalisations take their statistics from it.
const LEAST_PASS: usize = 16;

/// Cross-entropy on batches of images. Batch normalisations take their statistics from the images of a pass,
/// as in ordinary training: measure them afterwards, see [`calibrate`](crate::predictor::calibrate).
pub(super) struct SupportLoss<'a> {
    runner: Runner,
    /// Where batches come from.
    pub batcher: Batcher<'a>,
    /// Channels, height and width of images.
    shape: [usize; 3],
    /// Images of a pass.
    pass: usize,
    label_smoothing: f32,
    /// Of the network, for one image.
    multiply_accumulates: u64,
    scratches: Scratches,
}

impl<'a> SupportLoss<'a> {
    /// On images that have the channels that the network reads; they are resized to its height and width.
    pub fn new(
        network: &Fitting,
        data: &'a Dataset,
        augmentation: Augmentation,
        label_smoothing: f32,
    ) -> Result<Self, ConditionError> {
        let Fitting { architecture, registry, input, .. } = *network;
        let [channels, height, width] = architecture.image_shape()?;
        let affordable = PASS * input.size * input.size / (height * width).max(1);
        let pass = affordable.clamp(LEAST_PASS, PASS);
        let mut resolved = architecture.clone();
        resolve_with_input(&mut resolved, &[pass, channels, height, width], registry)?;
        let InputConfig { mean, std, .. } = input.with_channels(channels)?;
        Ok(Self {
            multiply_accumulates: Summary::of(&resolved, registry).work_for_one(&resolved),
            runner: Runner::new(&resolved, registry),
            batcher: Batcher::of_size(data, &mean, &std, [height, width], augmentation)?,
            shape: [channels, height, width],
            pass,
            label_smoothing,
            scratches: Scratches::default(),
        })
    }

    /// Of the network, for one image.
    pub fn multiply_accumulates(&self) -> u64 {
        self.multiply_accumulates
    }

    /// Whether it runs without the reference executor, whose passes are parallel themselves.
    pub fn is_fast(&self) -> bool {
        self.runner.is_lowered()
    }

    /// The mean cross-entropy and its gradient by parameter, a few images at a time.
    pub fn gradient(
        &self,
        weights: &Weights,
        images: &[f32],
        labels: &[u16],
    ) -> Result<(f32, Weights), ConditionError> {
        let [channels, height, width] = self.shape;
        let length = channels * height * width;
        let part = |scratch: &mut Scratch, (images, own): (&[f32], &[u16])| {
            let batch = own.len();
            let share = own.len() as f32 / labels.len() as f32;
            let result = self.runner.gradients(
                weights,
                Images { batch, channels, height, width, data: images },
                &NormStatistics::Measured { rows: 0..batch },
                &mut |logits, gradient| {
                    let classes = logits.len() / batch;
                    let smoothing = self.label_smoothing;
                    let loss = cross_entropy(logits, own, smoothing, gradient, classes).loss;
                    gradient.iter_mut().for_each(|value| *value *= share);
                    share * loss
                },
                false,
                scratch,
            );
            result.map(|(loss, gradients)| (loss, gradients.parameters))
        };
        let parts: Vec<_> =
            images.chunks(self.pass * length).zip(labels.chunks(self.pass)).collect();
        let part = |it| self.scratches.with(|scratch| part(scratch, it));
        let parts: Vec<(f32, Weights)> = match self.runner.is_lowered() {
            true => parts.into_par_iter().map(part).collect::<Result<_, _>>()?,
            false => parts.into_iter().map(part).collect::<Result<_, _>>()?,
        };
        let mut parts = parts.into_iter();
        let (mut loss, mut sum) = parts.next().unwrap_or_default();
        for (share, part) in parts {
            loss += share;
            for (id, sum) in sum.tensors_mut() {
                accumulate(part.get(id).unwrap_or_default(), sum);
            }
        }
        Ok((loss, sum))
    }
}
