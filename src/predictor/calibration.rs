//! Running statistics of batch normalisations, measured on the filled network.

use std::{collections::BTreeMap, sync::Arc};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::{
    execute::{Images, MeasuredStatistics, Runner, Scratch},
    graph::{Architecture, NodeIndex, Operand, Parameter, ParameterId, Role},
    kernels::elementwise::accumulate_scaled,
    neural::{Entry, download, normal},
    ops::Registry,
};

use super::{CalibrationImages, Network, Prediction, Predictor, PredictorError, ValueSource};

/// Most images that are measured in one pass.
const MOST_IMAGES: usize = 256;
/// Most values of all of them.
const MOST_VALUES: usize = 3 << 20;

/// What the statistics were measured on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CalibrationSource {
    /// The batch that the predictor learned and carries.
    Learned,
    /// Unlabelled images given by the user.
    Data,
    /// The images that weights were fitted to.
    Support,
    /// Nothing was measured: no batch normalisation, or none that could be run.
    None,
}

/// The labels that a predictor learned for its calibration batch.
#[derive(Clone, Debug, PartialEq)]
pub struct LearnedLabels {
    /// What scores are to be, `[images, classes]`.
    pub targets: Vec<f32>,
    /// Number of classes.
    pub classes: usize,
    /// Logarithm of the penalty of heads that are solved on the batch, beside the mean square of its
    /// standardised features.
    pub penalty: f32,
}

impl LearnedLabels {
    /// Those of a network, if it learned any.
    pub fn of(network: &Network) -> Option<Self> {
        let (targets, penalty) = network.calibration_labels()?;
        let classes = targets.dims()[1];
        Some(Self { targets: download(targets), classes, penalty: download(penalty)[0] })
    }

    /// What training starts from, tensor by tensor: each image has the next class, and a penalty as large as
    /// the mean square of the features.
    pub(super) fn start(entry: &Entry) -> Vec<f32> {
        match entry.shape[..] {
            [images, classes] => (0..images * classes)
                .map(|at| f32::from(u8::from(at % classes == at / classes % classes)))
                .collect(),
            _ => vec![0.0; entry.len()],
        }
    }

    /// Those of the first images.
    pub fn first(&self, images: usize) -> Self {
        Self { targets: self.targets[..images * self.classes].to_vec(), ..*self }
    }

    /// Of so many images of so many classes, nothing but zeros: to add gradients to.
    pub(crate) fn zeros(&self) -> Self {
        Self { targets: vec![0.0; self.targets.len()], classes: self.classes, penalty: 0.0 }
    }

    /// Targets and penalty.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut f32> {
        self.targets.iter_mut().chain([&mut self.penalty])
    }

    /// Adds a multiple of another.
    pub(crate) fn add_scaled(&mut self, factor: f32, other: &Self) {
        accumulate_scaled(factor, &other.targets, &mut self.targets);
        self.penalty += factor * other.penalty;
    }
}

impl Predictor {
    /// The calibration batch that the predictor learned.
    pub fn calibration_images(&self) -> CalibrationImages {
        let images = self.network.calibration();
        CalibrationImages { shape: images.dims(), data: download(images) }
    }
}

/// Measures the running statistics of every batch normalisation of a filled network on the given
/// images, all norms in one pass; of many images, those of their parts are pooled. Returns a sentence for
/// the user where that is not possible; the statistics then keep their defaults.
pub fn calibrate(
    architecture: &Architecture,
    registry: &Arc<Registry>,
    prediction: &mut Prediction,
    images: &CalibrationImages,
) -> Result<Option<String>, PredictorError> {
    Ok(calibrate_reading(architecture, registry, prediction, images, None)?.err())
}

/// The same; also returns what the network has computed at some place for the images, image by image: nothing where
/// that takes a pass of its own.
pub fn calibrate_reading(
    architecture: &Architecture,
    registry: &Arc<Registry>,
    prediction: &mut Prediction,
    images: &CalibrationImages,
    place: Option<Operand>,
) -> Result<Result<Vec<f32>, String>, PredictorError> {
    let mut roles = architecture.parameters.iter().filter_map(Parameter::role);
    if !roles.any(Role::is_statistic) {
        return Ok(Ok(Vec::new()));
    }
    let images = match images.fitted(architecture, images.shape[0]) {
        Ok(fitted) => fitted.images,
        Err(problem) => return Ok(Err(problem)),
    };
    let trunk = trunk(architecture, place);
    let part = part_of(images.shape);
    let runner = match Runner::of_batch(&trunk, part, registry) {
        Ok(runner) => runner,
        Err(problem) => return Ok(Err(problem)),
    };
    let (mut read, mut statistics) = (Vec::new(), Vec::new());
    let mut scratch = Scratch::default();
    let [batch, channels, height, width] = part;
    for data in images.data.chunks_exact(part.iter().product::<usize>().max(1)) {
        let view = Images { batch, channels, height, width, data };
        match runner.measure(&prediction.weights, view, &mut scratch) {
            Ok((values, measured)) => {
                read = values;
                statistics.extend(measured);
            }
            Err(error) => return Ok(Err(error.to_string())),
        }
    }
    let uses = statistics.len();
    let pooled = pooled(statistics);
    // A normalisation in several places, or of several parts, has other statistics from now on.
    if place.is_none() || pooled.len() < 2 * uses {
        read.clear();
    }
    for (id, values) in pooled {
        if values.iter().all(|value| value.is_finite()) {
            prediction.weights.set(id, values);
            prediction.labels[id.0] = ValueSource::Calibrated;
        }
    }
    Ok(Ok(read))
}

/// The shape of images that are measured in one pass, in bounded memory; all parts are of one size.
fn part_of([count, channels, height, width]: [usize; 4]) -> [usize; 4] {
    let at_once = (MOST_VALUES / (channels * height * width).max(1)).clamp(1, MOST_IMAGES);
    [count / count.div_ceil(at_once).max(1), channels, height, width]
}

/// Means and variances by parameter. A normalisation that is used in several places, or measured on several parts
/// of the images, has those of all that it sees, each counting the same.
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

/// The part of a network up to some place that its batch normalisations see, with both as outputs. What follows
/// them, such as a classifier with its batch size written into a reshape, is left out.
fn trunk(architecture: &Architecture, place: Option<Operand>) -> Architecture {
    let normalises = |node: &&NodeIndex| architecture.dag[**node].op_type == "BatchNormalization";
    let norms = architecture.order.iter().rev().filter(normalises);
    let norms = norms.map(|&node| Operand::Node { node, slot: 0 });
    let values: Vec<Operand> = place.into_iter().chain(norms).collect();
    architecture.returning(&values)
}

/// Overwrites the starting values of the calibration batch with smooth noise of unit variance,
/// whose spectrum falls like that of photographs, correlated between channels, and those of its labels.
pub fn calibration_noise(entries: &[Entry], values: &mut [f32], seed: u64) {
    let mut start = 0;
    for entry in entries {
        let range = start..start + entry.len();
        start = range.end;
        if entry.name.starts_with(Network::CALIBRATION_LABELS) {
            values[range].copy_from_slice(&LearnedLabels::start(entry));
            continue;
        }
        if entry.name != Network::CALIBRATION {
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
        for (to, from) in plane.iter_mut().zip(octave.resized(1, [height, width]).data) {
            *to += from;
        }
    }
    plane
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use crate::{onnx::Model, ops::resolve, spaces::Named, weights::he_initialisation};

    use super::*;

    #[test]
    fn statistics_of_parts_are_those_of_all_images() {
        let onnx = Named::find("resnet-20").unwrap().onnx();
        let model = Model::from_bytes("resnet-20", onnx.into()).unwrap();
        let mut architecture = Architecture::from_model(&model).unwrap();
        let registry = Registry::standard();
        resolve(&mut architecture, &registry).unwrap();
        let weights = he_initialisation(&architecture, 1);
        let mut random = ChaCha8Rng::seed_from_u64(2);
        let shape = [517, 3, 32, 32];
        // Later images are brighter, so that parts differ.
        let data = (0..shape.iter().product::<usize>())
            .map(|at| normal(&mut random) + at as f32 / 1e6)
            .collect();
        let images = CalibrationImages { shape, data };
        assert_eq!(part_of(shape), [172, 3, 32, 32]);
        let seen = images.range(0..516);
        let trunk = trunk(&architecture, None);
        let runner = Runner::of_batch(&trunk, seen.shape, &registry).unwrap();
        let (_, whole) = runner.measure(&weights, seen.view(), &mut Scratch::default()).unwrap();
        let mut prediction = Prediction::from_elsewhere(&architecture, weights);
        calibrate(&architecture, &registry, &mut prediction, &images).unwrap();
        let first = &whole[0];
        for (id, expected) in [(first.mean, &first.means), (first.variance, &first.variances)] {
            let measured = prediction.weights.get(id).unwrap();
            assert_relative_eq!(measured[..], expected[..], epsilon = 1e-4, max_relative = 1e-3);
        }
    }
}
