//! Running statistics of batch normalisations, measured on the filled network.

use std::{collections::BTreeMap, sync::Arc};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::{
    execute::{Images, MeasuredStatistics, Runner, Scratch},
    graph::{Architecture, Operand, Parameter, ParameterId, Role},
    neural::{Entry, download, normal},
    ops::Registry,
};

use super::{Prediction, Predictor, PredictorError, ValueSource};

/// What the statistics were measured on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CalibrationSource {
    /// The batch that the predictor learned and carries.
    Learned,
    /// Unlabelled images given by the user.
    Data,
    /// Nothing was measured: no batch normalisation, or none that could be run.
    None,
}

/// Normalised images, NCHW.
#[derive(Clone, Debug)]
pub struct CalibrationImages {
    /// Number of images, channels, height, width.
    pub shape: [usize; 4],
    /// Values, row-major.
    pub data: Vec<f32>,
}

impl Predictor {
    /// The calibration batch that the predictor learned.
    pub fn calibration_images(&self) -> CalibrationImages {
        let images = self.network.calibration();
        CalibrationImages { shape: images.dims(), data: download(images) }
    }
}

/// Measures the running statistics of every batch normalisation of a filled network on the given
/// images, all in one pass. Returns a sentence for the user where that is not possible; the
/// statistics then keep their defaults.
pub fn calibrate(
    architecture: &Architecture,
    registry: &Arc<Registry>,
    prediction: &mut Prediction,
    images: &CalibrationImages,
) -> Result<Option<String>, PredictorError> {
    let mut roles = architecture.parameters.iter().filter_map(Parameter::role);
    if !roles.any(Role::is_statistic) {
        return Ok(None);
    }
    let [carried, channels, rows, columns] = images.shape;
    let input = architecture.inputs.first().and_then(|input| input.shape.clone());
    let Some([_, wanted, height, width]) =
        input.as_deref().and_then(|s| <[usize; 4]>::try_from(s).ok())
    else {
        return Ok(Some("the network does not read one batch of images".to_owned()));
    };
    if wanted != channels {
        return Ok(Some(format!(
            "the network reads {wanted} channels, the images have {channels}"
        )));
    }
    // Large images have more pixels to measure on: fewer of them do, in bounded memory.
    let batch = (carried * 4 * rows * columns / (height * width)).clamp(carried.min(4), carried);
    let mut measured = trunk(architecture);
    let shape = [batch, channels, height, width];
    if let Err(error) = crate::ops::resolve_with_input(&mut measured, &shape, registry) {
        return Ok(Some(format!("the network does not take a batch of {batch}: {error}")));
    }
    let images = CalibrationImages {
        shape: [batch, channels, rows, columns],
        data: images.data[..batch * channels * rows * columns].to_vec(),
    };
    let data = fit(&images, [height, width]);
    let view = Images { batch, channels, height, width, data: &data };
    let runner = Runner::new(&measured, registry);
    let statistics = match runner.statistics(&prediction.weights, view, &mut Scratch::default()) {
        Ok(statistics) => statistics,
        Err(error) => return Ok(Some(error.to_string())),
    };
    for (id, values) in pooled(statistics) {
        if values.iter().all(|value| value.is_finite()) {
            prediction.weights.set(id, values);
            prediction.labels[id.0] = ValueSource::Calibrated;
        }
    }
    Ok(None)
}

/// Means and variances by parameter. A normalisation that is used in several places has those of all that
/// it sees there, each place counting the same.
fn pooled(statistics: Vec<MeasuredStatistics>) -> Vec<(ParameterId, Vec<f32>)> {
    let mut by_norm: BTreeMap<(ParameterId, ParameterId), Vec<MeasuredStatistics>> =
        BTreeMap::new();
    for measured in statistics {
        by_norm.entry((measured.mean, measured.variance)).or_default().push(measured);
    }
    let mut pooled = Vec::new();
    for ((mean, variance), mut uses) in by_norm {
        let Some(first) = uses.pop() else { continue };
        let count = uses.len() as f32 + 1.0;
        let (mut means, mut variances) = (first.means.clone(), first.variances.clone());
        for channel in 0..means.len() {
            let all = || uses.iter().chain([&first]);
            let average = all().map(|it| it.means[channel]).sum::<f32>() / count;
            let spread = |it: &MeasuredStatistics| (it.means[channel] - average).powi(2);
            means[channel] = average;
            variances[channel] =
                all().map(|it| it.variances[channel] + spread(it)).sum::<f32>() / count;
        }
        pooled.extend([(mean, means), (variance, variances)]);
    }
    pooled
}

/// The part of a network that its batch normalisations see, with them as outputs. What follows
/// them, such as a classifier with its batch size written into a reshape, is left out.
fn trunk(architecture: &Architecture) -> Architecture {
    let mut trunk = architecture.clone();
    let norms = architecture
        .order
        .iter()
        .filter(|&&node| architecture.dag[node].op_type == "BatchNormalization");
    trunk.outputs =
        norms.rev().map(|&node| (String::new(), Operand::Node { node, slot: 0 })).collect();
    let mut wanted = vec![false; architecture.dag.node_count()];
    let mut stack: Vec<Operand> = trunk.outputs.iter().map(|(_, operand)| *operand).collect();
    while let Some(operand) = stack.pop() {
        if let Operand::Node { node, .. } = operand
            && !std::mem::replace(&mut wanted[node.index()], true)
        {
            stack.extend(&architecture.dag[node].inputs);
        }
    }
    trunk.order.retain(|node| wanted[node.index()]);
    trunk
}

impl CalibrationImages {
    /// The first images at another size.
    pub fn resized(&self, count: usize, size: [usize; 2]) -> Self {
        let [own, channels, rows, columns] = self.shape;
        let count = count.min(own);
        let length = count * channels * rows * columns;
        let first =
            Self { shape: [count, channels, rows, columns], data: self.data[..length].to_vec() };
        let data = fit(&first, size);
        Self { shape: [count, channels, size[0], size[1]], data }
    }
}

/// Images at another size, by bilinear interpolation (half-pixel centres).
fn fit(images: &CalibrationImages, [height, width]: [usize; 2]) -> Vec<f32> {
    let [count, channels, rows, columns] = images.shape;
    if [rows, columns] == [height, width] {
        return images.data.clone();
    }
    let weights = |to: usize, from: usize, position: usize| {
        let at = ((position as f32 + 0.5) * from as f32 / to as f32 - 0.5).max(0.0);
        let low = (at as usize).min(from - 1);
        (low, (low + 1).min(from - 1), at - low as f32)
    };
    let mut out = Vec::with_capacity(count * channels * height * width);
    for plane in images.data.chunks(rows * columns) {
        for row in 0..height {
            let (top, bottom, down) = weights(height, rows, row);
            for column in 0..width {
                let (left, right, across) = weights(width, columns, column);
                let mix = |row: usize| {
                    let (a, b) = (plane[row * columns + left], plane[row * columns + right]);
                    a + across * (b - a)
                };
                out.push(mix(top) + down * (mix(bottom) - mix(top)));
            }
        }
    }
    out
}

/// Overwrites the starting values of the calibration batch with smooth noise of unit variance,
/// whose spectrum falls like that of photographs, correlated between channels.
pub fn calibration_noise(entries: &[Entry], values: &mut [f32], seed: u64) {
    let mut start = 0;
    for entry in entries {
        let range = start..start + entry.len();
        start = range.end;
        if entry.name != "calibration" {
            continue;
        }
        let [_, channels, height, width] = entry.shape[..] else { continue };
        let mut random = ChaCha8Rng::seed_from_u64(seed ^ 0x00ca_11b8);
        for image in values[range].chunks_mut(channels * height * width) {
            let mut shared = smooth(&mut random, height, width);
            shared.iter_mut().for_each(|value| *value *= 0.9);
            for plane in image.chunks_mut(height * width) {
                let own = smooth(&mut random, height, width);
                for ((to, shared), own) in plane.iter_mut().zip(&shared).zip(own) {
                    *to = shared + 0.436 * own;
                }
            }
        }
    }
}

/// Octaves of noise from the mean to single pixels.
fn smooth(random: &mut ChaCha8Rng, height: usize, width: usize) -> Vec<f32> {
    let mut plane = vec![0.0; height * width];
    let sizes: Vec<usize> =
        [1, 2, 4, 8, 16].into_iter().filter(|&size| size <= height.min(width)).collect();
    let share = (1.6 / sizes.len() as f32).sqrt();
    for &size in &sizes {
        let data = (0..size * size).map(|_| share * normal(random)).collect();
        let octave = CalibrationImages { shape: [1, 1, size, size], data };
        for (to, from) in plane.iter_mut().zip(fit(&octave, [height, width])) {
            *to += from;
        }
    }
    plane
}
