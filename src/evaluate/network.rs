//! A filled network on a data set, in inference mode.

use rayon::prelude::*;

use crate::{
    data::{Augmentation, Batcher, Dataset},
    execute::{Images, NormStatistics, Program, Scratch},
};

use super::Metrics;

/// Images per pass.
const BATCH: usize = 100;

/// Runs a network with its own running statistics over the first `limit` images, several passes
/// at a time. `weights` are by parameter. The network must be compiled for a batch of any size.
pub fn judge(
    program: &Program,
    weights: &[Vec<f32>],
    data: &Dataset,
    mean: &[f32],
    std: &[f32],
    size: usize,
    limit: usize,
) -> Metrics {
    let references: Vec<&[f32]> = weights.iter().map(Vec::as_slice).collect();
    let batcher = Batcher::new(data, mean, std, size, Augmentation::None);
    let count = limit.min(data.len());
    let starts: Vec<usize> = (0..count).step_by(BATCH).collect();
    let parts: Vec<Metrics> = starts
        .into_par_iter()
        .map_init(Scratch::default, |scratch, start| {
            let (images, labels) = batcher.range(start..count.min(start + BATCH));
            let view = Images {
                batch: labels.len(),
                channels: mean.len(),
                height: size,
                width: size,
                data: &images,
            };
            let logits = program.logits(&references, view, &NormStatistics::Running, scratch);
            let mut metrics = Metrics::default();
            metrics.add(&logits, &labels);
            metrics
        })
        .collect();
    let mut total = Metrics::default();
    parts.iter().for_each(|part| total.merge(part));
    total
}
