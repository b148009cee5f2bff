//! Everything a run needs to go on: `state.safetensors` and `state.json`, written atomically.

use std::{collections::BTreeSet, path::Path};

use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use crate::{
    FileError,
    onnx::{
        atomic,
        safetensors::{Entry as Stored, floats, split_behind, write_behind},
    },
    predictor::Start,
};

use super::{AdamW, TrainConfig, TrainError};

/// Progress of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Optimiser steps taken, skipped ones included.
    pub step: u64,
    /// Networks that gave a finite gradient.
    pub architecture_steps: u64,
    /// Networks whose loss or gradient was not finite.
    pub skipped: u64,
    /// Wall-clock seconds spent.
    pub seconds: f64,
    /// Newest validation accuracy.
    pub validation_top1: Option<f64>,
    /// What it started from, if not from random values.
    #[serde(default)]
    pub initial: Option<Start>,
    /// Operators of the graphs that it was trained on, those before its start included.
    #[serde(default)]
    pub operators_met: BTreeSet<String>,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    config: TrainConfig,
    progress: Progress,
    updates: u64,
}

const VECTORS: [&str; 4] = ["average", "first", "second", "values"];

/// Writes the state of a run into its folder.
pub fn save(
    folder: &Path,
    config: &TrainConfig,
    progress: &Progress,
    adam: &AdamW,
) -> Result<(), TrainError> {
    let path = folder.join("state.safetensors");
    let stored: Vec<Stored> = VECTORS
        .iter()
        .zip([&adam.average, &adam.first, &adam.second, &adam.values])
        .map(|(name, values)| Stored::vector((*name).to_owned(), values))
        .collect();
    let saved = Saved { config: config.clone(), progress: progress.clone(), updates: adam.updates };
    let json =
        serde_json::to_vec_pretty(&saved).map_err(|error| FileError::at(&path)(error.into()))?;
    atomic::write(&path, |out| write_behind(out, &json, &stored)).map_err(FileError::at(&path))?;
    Ok(())
}

/// Reads the state back; `None` where there is none. The configuration must be the one it was
/// saved with, the length of the run apart.
pub fn load(folder: &Path, config: &TrainConfig) -> Result<Option<(Progress, AdamW)>, TrainError> {
    let path = folder.join("state.safetensors");
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(FileError { path, error }.into()),
    };
    let broken = |problem: String| TrainError::State { path: path.clone(), problem };
    let truncated = || broken("is truncated; delete it to start anew".to_owned());
    let (json, tensors) = split_behind(&bytes).ok_or_else(truncated)?;
    let saved: Saved = serde_json::from_slice(json).map_err(|error| broken(error.to_string()))?;
    let comparable = TrainConfig { stages: saved.config.stages.clone(), ..config.clone() };
    if saved.config != comparable {
        return Err(broken(
            "was saved with another configuration; choose another 'out'".to_owned(),
        ));
    }
    let file = SafeTensors::deserialize(tensors).map_err(|error| broken(error.to_string()))?;
    let read = |name: &str| -> Result<Vec<f32>, TrainError> {
        let tensor = file.tensor(name).map_err(|error| broken(error.to_string()))?;
        Ok(floats(tensor.data()))
    };
    let adam = AdamW {
        average: read("average")?,
        first: read("first")?,
        second: read("second")?,
        values: read("values")?,
        updates: saved.updates,
    };
    Ok(Some((saved.progress, adam)))
}
