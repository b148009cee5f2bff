//! The images of a data set that a predictor can make use of.

use std::path::Path;

use crate::{
    data::{Augmentation, Batcher, Dataset, Split},
    predictor::{CalibrationImages, Predictor},
};

use super::FillError;

/// Unlabelled images that statistics are measured on.
const CALIBRATION_IMAGES: usize = 256;

/// Normalised images of a data set, without their labels: the first of those for training.
pub fn unlabelled(path: &Path, predictor: &Predictor) -> Result<CalibrationImages, FillError> {
    let input = &predictor.config.input;
    let data = images_of(path, Split::Train, predictor)?;
    let batcher = Batcher::new(&data, &input.mean, &input.std, input.size, Augmentation::None)?;
    let (data, labels) = batcher.range(0..CALIBRATION_IMAGES.min(data.len()));
    Ok(CalibrationImages { shape: [labels.len(), input.channels(), input.size, input.size], data })
}

/// The labelled images of a data set that weights may be steered towards: those for training.
pub fn support_set(path: &Path, predictor: &Predictor) -> Result<Dataset, FillError> {
    images_of(path, Split::Train, predictor)
}

/// The images of a data set that samples may be chosen by: those held out for validation.
pub fn validation_set(path: &Path, predictor: &Predictor) -> Result<Dataset, FillError> {
    images_of(path, Split::Val, predictor)
}

/// A part of a data set, with the channels that a predictor wants.
fn images_of(path: &Path, split: Split, predictor: &Predictor) -> Result<Dataset, FillError> {
    Ok(Dataset::open(path, split)?.with_channels(predictor.config.input.channels())?)
}
