//! Solving a predicted network's head on what the predictor learned.

use std::sync::Arc;

use crate::{
    execute::{NormStatistics, Runner, Scratch},
    graph::Architecture,
    ops::{Registry, Summary},
    predictor::{
        CalibrationImages, LearnedLabels, Prediction, Predictor, PredictorError, ValueSource,
        calibrate,
    },
};

use super::{DistilledHead, Head};

/// Most multiply-accumulates that are spent on it, a second or two: costly networks see fewer of the images.
const MOST_WORK: u64 = 1 << 36;

/// Makes a predicted network fit for use: measures its normalisation statistics on images, and then solves its
/// head on what the predictor learned, where it can. Returns why statistics cannot be measured, if so; see
/// [`calibrate`].
pub fn complete(
    architecture: &Architecture,
    registry: &Arc<Registry>,
    prediction: &mut Prediction,
    predictor: &Predictor,
    images: &CalibrationImages,
) -> Result<Option<String>, PredictorError> {
    let unmeasured = calibrate(architecture, registry, prediction, images)?;
    if unmeasured.is_none() {
        distil_head(architecture, registry, prediction, predictor);
    }
    Ok(unmeasured)
}

/// Solves the head of a predicted network, whose normalisation statistics are measured, on the images and
/// labels that its predictor learned. Returns whether it did: the predicted head stays where the predictor
/// learned no labels or those of other classes, where there is no head that could be solved, where the network
/// cannot be run, and where one image for each class would be too costly.
fn distil_head(
    architecture: &Architecture,
    registry: &Arc<Registry>,
    prediction: &mut Prediction,
    predictor: &Predictor,
) -> bool {
    let Some(labels) = LearnedLabels::of(&predictor.network) else { return false };
    let Ok(head) = Head::of(architecture, registry) else { return false };
    let mut tensors = [Some(head.weight), head.bias].into_iter().flatten();
    let free = tensors.all(|id| prediction.labels[id.0] == ValueSource::Predicted);
    if !free || !head.takes(labels.classes) {
        return false;
    }
    let learned = predictor.calibration_images();
    let images = affordable(architecture, registry, learned.shape[0]);
    if images < labels.classes {
        return false;
    }
    let trunk = architecture.returning(&[head.input]);
    let Ok(most) = learned.at_once(architecture, images) else { return false };
    let mut read = Vec::new();
    for start in (0..images).step_by(most) {
        let part = learned.range(start..images.min(start + most));
        let Ok(part) = part.at(architecture) else { return false };
        let Ok(runner) = Runner::of_batch(&trunk, part.images.shape, registry) else {
            return false;
        };
        let (view, scratch) = (part.images.view(), &mut Scratch::default());
        let running = NormStatistics::Running;
        let Ok(rows) = runner.logits(&prediction.weights, view, &running, scratch) else {
            return false;
        };
        read.extend(rows);
    }
    let labels = labels.first(images);
    let solved = DistilledHead::of(&head, &prediction.weights, &read, &labels);
    if let Some(solved) = &solved {
        solved.write(&mut prediction.weights);
    }
    solved.is_some()
}

/// How many of some images a network may be run on.
fn affordable(architecture: &Architecture, registry: &Arc<Registry>, images: usize) -> usize {
    let batch = architecture.inputs.first().and_then(|it| it.shape.as_ref()?.first().copied());
    let total = Summary::of(architecture, registry).total.multiply_accumulates;
    let each = (total / batch.unwrap_or(1).max(1) as u64).max(1);
    usize::try_from(MOST_WORK / each).map_or(images, |most| most.min(images))
}
