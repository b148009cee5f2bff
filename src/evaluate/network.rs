//! A filled network on a data set, in inference mode.

use burn::tensor::Device;
use rayon::prelude::*;

use crate::{
    data::{Augmentation, Batcher, DataError, Dataset, class_list},
    execute::{ExecuteError, Images, NormStatistics, Program, Scratches, execute, upload_weights},
    graph::{Architecture, NotAClassifier, Tensor, Weights},
    ops::{Array, Registry},
    predictor::{CalibrationImages, InputConfig},
};

use super::{MetricsError, Scores, Tally};

/// Images per pass of a fast program.
const BATCH: usize = 100;
/// Least and most images that statistics are measured on, where there are so many.
const LEAST_IMAGES: usize = 256;
const MOST_IMAGES: usize = 4096;

/// A network that could not be judged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluateError {
    /// Network and data do not fit.
    #[error("{0}")]
    Mismatch(String),
    /// A network that does not tell images apart.
    #[error("{0}; only classifiers are judged on labelled images")]
    NotAClassifier(#[from] NotAClassifier),
    /// The network's logits.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// Running the network.
    #[error(transparent)]
    Execute(#[from] ExecuteError),
    /// The data.
    #[error(transparent)]
    Data(#[from] DataError),
}

/// Scores of [`tally`].
pub fn judge(
    architecture: &Architecture,
    registry: &Registry,
    weights: &Weights,
    data: &Dataset,
    input: &InputConfig,
    limit: usize,
) -> Result<Scores, EvaluateError> {
    Ok(tally(architecture, registry, weights, data, input, limit)?.scores())
}

/// Judges what [`logits`] says of the first `limit` images of a data set.
pub fn tally(
    architecture: &Architecture,
    registry: &Registry,
    weights: &Weights,
    data: &Dataset,
    input: &InputConfig,
    limit: usize,
) -> Result<Tally, EvaluateError> {
    let classes = architecture.class_count()?;
    if classes != data.classes.len() {
        return Err(EvaluateError::Mismatch(format!(
            "the network has {classes} outputs, the data set {}; evaluate it on data of the classes that \
             it tells apart",
            class_list(&data.classes)
        )));
    }
    let mut tally = Tally::new(classes);
    let (rows, labels) = logits(architecture, registry, weights, data, input, limit)?;
    tally.add(&rows, &labels)?;
    Ok(tally)
}

/// Batches of a data set's images as an architecture reads them: resized, and normalised like those of
/// `input`. They must have the architecture's channels, see [`Dataset::with_channels`].
pub fn batches<'a>(
    architecture: &Architecture,
    data: &'a Dataset,
    input: &InputConfig,
) -> Result<Batcher<'a>, EvaluateError> {
    let [channels, height, width] = architecture.image_shape()?;
    if channels != data.channels {
        return Err(DataError::channels(data.channels, channels).into());
    }
    let InputConfig { mean, std, .. } = input.with_channels(channels)?;
    Ok(Batcher::of_size(data, &mean, &std, [height, width], Augmentation::None)?)
}

/// The first images of a data set without their labels, as [`batches`] gives them, for measuring statistics: an eighth of
/// them, at least 256 if there are so many and at most 4,096; fewer if they are larger than those of `input`.
pub fn calibration_images(
    architecture: &Architecture,
    data: &Dataset,
    input: &InputConfig,
) -> Result<CalibrationImages, EvaluateError> {
    let [channels, height, width] = architecture.image_shape()?;
    let wanted = (data.len() / 8).clamp(LEAST_IMAGES, MOST_IMAGES);
    let affordable = wanted * 4 * input.size * input.size / (height * width).max(1);
    let count = affordable.clamp(4, wanted).min(data.len());
    let (data, labels) = batches(architecture, data, input)?.range(0..count);
    Ok(CalibrationImages { shape: [labels.len(), channels, height, width], data })
}

/// Runs a resolved architecture with its own running statistics over the first `limit` images of a
/// data set, as [`batches`] gives them: logits, `[images, outputs]` row-major, and labels.
pub fn logits(
    architecture: &Architecture,
    registry: &Registry,
    weights: &Weights,
    data: &Dataset,
    input: &InputConfig,
    limit: usize,
) -> Result<(Vec<f32>, Vec<u16>), EvaluateError> {
    let batcher = batches(architecture, data, input)?;
    let count = limit.min(data.len());
    match Program::compile(architecture, registry) {
        Ok(program) => Ok(fast(&program, weights, &batcher, count, architecture.image_shape()?)),
        Err(_) => slow(architecture, registry, weights, &batcher, count),
    }
}

/// All passes of a program, in parallel and put in order.
fn fast(
    program: &Program,
    weights: &Weights,
    batcher: &Batcher,
    count: usize,
    [channels, height, width]: [usize; 3],
) -> (Vec<f32>, Vec<u16>) {
    let starts: Vec<usize> = (0..count).step_by(BATCH).collect();
    let scratches = Scratches::default();
    let pass = |start| {
        let (images, labels) = batcher.range(start..count.min(start + BATCH));
        let batch = labels.len();
        let view = Images { batch, channels, height, width, data: &images };
        let logits =
            |scratch: &mut _| program.logits(weights, view, &NormStatistics::Running, scratch);
        (scratches.with(logits), labels)
    };
    let passes: Vec<(Vec<f32>, Vec<u16>)> = starts.into_par_iter().map(pass).collect();
    let (logits, labels): (Vec<_>, Vec<_>) = passes.into_iter().unzip();
    (logits.concat(), labels.concat())
}

/// One image at a time through the reference executor: a graph without kernels may have its batch
/// size written into its reshapes.
fn slow(
    architecture: &Architecture,
    registry: &Registry,
    weights: &Weights,
    batcher: &Batcher,
    count: usize,
) -> Result<(Vec<f32>, Vec<u16>), EvaluateError> {
    let shape = architecture.inputs.first().and_then(|input| input.shape.clone());
    let shape = shape.unwrap_or_default();
    let (mut logits, mut labels) = (Vec::new(), Vec::new());
    for index in 0..count {
        let (image, label) = batcher.range(index..index + 1);
        logits.extend(run_reference(architecture, registry, weights, &shape, &image)?);
        labels.extend(label);
    }
    Ok((logits, labels))
}

/// The first output of an architecture for one input of the given shape, by the reference executor
/// on the CPU.
pub fn run_reference(
    architecture: &Architecture,
    registry: &Registry,
    weights: &Weights,
    shape: &[usize],
    input: &[f32],
) -> Result<Vec<f32>, ExecuteError> {
    let device = Device::flex();
    let weights = upload_weights(architecture, weights, &device);
    let input = Tensor { shape: shape.to_vec(), data: input.to_vec() };
    let input = Array::upload(&input, &device);
    let outputs = execute(architecture, registry, &weights, &[input], &device)?;
    Ok(outputs.first().map(Array::download).unwrap_or_default())
}
