//! Solving a predicted network's head on what the predictor learned.

use std::sync::Arc;

use serde::Serialize;

use crate::{
    execute::{NormStatistics, Runner, Scratch},
    graph::{Architecture, ParameterId},
    ops::{Registry, Summary},
    predictor::{
        CalibrationImages, LearnedLabels, Prediction, Predictor, PredictorError, ValueSource,
        calibrate_reading,
    },
};

use super::{DistilledHead, Head};

/// Most multiply-accumulates that are spent on it, a second or two: costly networks see fewer of the images.
const MOST_WORK: u64 = 1 << 36;

/// A head that was solved on what the predictor learned.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Distilled {
    /// Learned images that it was solved on.
    pub images: usize,
    /// Classes that it tells apart.
    pub classes: usize,
    /// Share of them that is classified right when it is left out.
    pub left_out_accuracy: f64,
}

/// What was done to a predicted network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Completed {
    /// Why its statistics cannot be measured, if so; see [`calibrate`](crate::predictor::calibrate).
    pub unmeasured: Option<String>,
    /// How its head was solved, if it was.
    pub head: Option<Distilled>,
}

/// Makes a predicted network fit for use: measures its normalisation statistics on images, and then solves its
/// head on what the predictor learned, where it can.
///
/// The predicted head stays where the predictor learned no labels or those of other classes, where there is no
/// head that could be solved, where the network cannot be run, and where one image for each class would be too
/// costly.
pub fn complete(
    architecture: &Architecture,
    registry: &Arc<Registry>,
    prediction: &mut Prediction,
    predictor: &Predictor,
    images: &CalibrationImages,
) -> Result<Completed, PredictorError> {
    let distillation = Distillation::of(architecture, registry, prediction, predictor);
    let place = distillation.as_ref().map(|it| it.head.input);
    let read = calibrate_reading(architecture, registry, prediction, images, place)?;
    let head = match (distillation, &read) {
        (Some(distillation), Ok(read)) => {
            distillation.solve(architecture, registry, prediction, images, read)
        }
        _ => None,
    };
    Ok(Completed { unmeasured: read.err(), head })
}

/// A head, and what it can be solved on.
struct Distillation {
    head: Head,
    images: CalibrationImages,
    labels: LearnedLabels,
}

impl Distillation {
    fn of(
        architecture: &Architecture,
        registry: &Registry,
        prediction: &Prediction,
        predictor: &Predictor,
    ) -> Option<Self> {
        let labels = LearnedLabels::of(&predictor.network)?;
        let head = Head::of(architecture, registry).ok()?;
        let is_predicted = |id: ParameterId| prediction.labels[id.0] == ValueSource::Predicted;
        let images = predictor.calibration_images();
        let count = affordable(architecture, registry, images.shape[0]);
        let solvable = head.takes(labels.classes)
            && head.parameters().all(is_predicted)
            && count >= labels.classes;
        let (images, labels) = (images.range(0..count), labels.first(count));
        solvable.then_some(Self { head, images, labels })
    }

    /// Solves the head of a network whose statistics were measured on images, for which its input may have been
    /// read.
    fn solve(
        &self,
        architecture: &Architecture,
        registry: &Arc<Registry>,
        prediction: &mut Prediction,
        measured: &CalibrationImages,
        read: &[f32],
    ) -> Option<Distilled> {
        let own = self.part(architecture, measured, read).map(<[f32]>::to_vec);
        let read = own.or_else(|| self.read(architecture, registry, prediction))?;
        let solved = DistilledHead::of(&self.head, &prediction.weights, &read, &self.labels)?;
        solved.write(&mut prediction.weights);
        let left_out_accuracy = solved.left_out_accuracy(&self.labels);
        let (images, classes) = (self.images.shape[0], self.labels.classes);
        Some(Distilled { images, classes, left_out_accuracy })
    }

    /// The part that belongs to its images of what was read for those that statistics were measured on.
    fn part<'a>(
        &self,
        architecture: &Architecture,
        measured: &CalibrationImages,
        read: &'a [f32],
    ) -> Option<&'a [f32]> {
        let all = measured.at_once(architecture, measured.shape[0]).ok()?;
        let wanted = self.images.shape[0];
        let held = wanted <= all && measured.data.starts_with(&self.images.data);
        (held && !read.is_empty()).then(|| &read[..read.len() / all * wanted])
    }

    /// What the head reads of its images.
    fn read(
        &self,
        architecture: &Architecture,
        registry: &Arc<Registry>,
        prediction: &Prediction,
    ) -> Option<Vec<f32>> {
        let count = self.images.shape[0];
        let trunk = architecture.returning(&[self.head.input]);
        let most = self.images.at_once(architecture, count).ok()?;
        let scratch = &mut Scratch::default();
        let mut read = Vec::new();
        for start in (0..count).step_by(most) {
            let part = self.images.range(start..count.min(start + most)).at(architecture).ok()?;
            let runner = Runner::of_batch(&trunk, part.images.shape, registry).ok()?;
            let running = NormStatistics::Running;
            let rows = runner.logits(&prediction.weights, part.images.view(), &running, scratch);
            read.extend(rows.ok()?);
        }
        Some(read)
    }
}

/// How many of some images a network may be run on.
fn affordable(architecture: &Architecture, registry: &Registry, images: usize) -> usize {
    let each = Summary::of(architecture, registry).work_for_one(architecture).max(1);
    usize::try_from(MOST_WORK / each).map_or(images, |most| most.min(images))
}
