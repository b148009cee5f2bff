//! Predictors that travel inside the binary.

use std::path::{Path, PathBuf};

use burn::tensor::Device;

use super::{Predictor, PredictorError, Seen};

/// Names of the predictors embedded in the binary; the first is the default.
pub const BUNDLED: [&str; 3] = ["diffusion", "cifar10", "mnist"];

macro_rules! files {
    ($name:literal) => {
        [
            include_bytes!(concat!("../../predictors/", $name, "/config.json")) as &[u8],
            include_bytes!(concat!("../../predictors/", $name, "/model.safetensors")) as &[u8],
            include_bytes!(concat!("../../predictors/", $name, "/graphs.sketch")) as &[u8],
            include_bytes!(concat!("../../predictors/", $name, "/images.sketch")) as &[u8],
        ]
    };
}

/// Loads a predictor by path, if `name` is a folder, or by the name of a bundled one.
pub fn bundled(name: &str, device: &Device) -> Result<Predictor, PredictorError> {
    let folder = Path::new(name);
    if folder.is_dir() {
        return Predictor::load(folder, device);
    }
    let [config, model, graphs, images] = match name {
        "cifar10" => files!("cifar10"),
        "mnist" => files!("mnist"),
        "diffusion" => files!("diffusion"),
        _ => {
            return Err(PredictorError::Unknown {
                name: name.to_owned(),
                bundled: BUNDLED.join(", "),
            });
        }
    };
    let path = |file: &str| PathBuf::from(format!("<bundled {name}>")).join(file);
    let paths = [path("config.json"), path("model.safetensors")];
    let mut predictor = Predictor::from_bytes(paths, config, model, device)?;
    predictor.seen = Seen::from_bytes([graphs, images]).map_err(|error| {
        PredictorError::Checkpoint { path: path("*.sketch"), problem: error.to_string() }
    })?;
    Ok(predictor)
}
