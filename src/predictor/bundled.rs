//! Predictors by name.

use std::path::Path;

use burn::tensor::Device;

use super::{Predictor, PredictorError, files::Files};

/// Loads a predictor by path, if `name` is a folder, or by the name of a bundled one.
pub fn bundled(name: &str, device: &Device) -> Result<Predictor, PredictorError> {
    let folder = Path::new(name);
    match folder.is_dir() {
        true => Predictor::load(folder, device),
        false => Predictor::from_files(&Files::embedded(name)?, device),
    }
}
