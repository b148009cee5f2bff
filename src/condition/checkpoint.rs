//! Everything that fine-tuning needs to go on, in one file.

use std::path::Path;

use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use crate::{
    FileError,
    graph::{Architecture, ParameterId, Weights},
    onnx::{
        atomic,
        safetensors::{Entry, floats, split_behind, write_behind},
    },
};

use super::{ConditionError, Epoch, FineTuning};

/// Where a run stands.
#[derive(Clone, Debug)]
pub(super) struct Checkpoint {
    /// Epochs so far, the start first.
    pub epochs: Vec<Epoch>,
    /// The best of them.
    pub best: usize,
    /// Steps of the optimiser.
    pub updates: u64,
    /// Seconds of training.
    pub seconds: f64,
    /// Current weights.
    pub weights: Weights,
    /// Their average, which epochs are judged by.
    pub average: Weights,
    /// Weights of the best epoch.
    pub best_weights: Weights,
    /// First moments or momentum.
    pub first: Weights,
    /// Second moments.
    pub second: Weights,
}

/// What tells one run from another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Identity {
    /// How it is done.
    pub tuning: FineTuning,
    /// Of the order of images and of their changes.
    pub seed: u64,
    /// Fingerprint of the graph.
    pub graph: u64,
    /// Hash of the training images.
    pub data_hash: String,
}

/// What stands in front of the tensors.
#[derive(Serialize, Deserialize)]
struct Header {
    run: Identity,
    epochs: Vec<Epoch>,
    best: usize,
    updates: u64,
    seconds: f64,
}

impl Checkpoint {
    /// Nothing trained yet.
    pub fn start(weights: &Weights, epoch: Epoch) -> Self {
        let zeros = || weights.map(|_, values| vec![0.0; values.len()]);
        Self {
            epochs: vec![epoch],
            best: 0,
            updates: 0,
            seconds: 0.0,
            weights: weights.clone(),
            average: weights.clone(),
            best_weights: weights.clone(),
            first: zeros(),
            second: zeros(),
        }
    }

    fn vectors(&self) -> [(&'static str, &Weights); 5] {
        [
            ("weights", &self.weights),
            ("average", &self.average),
            ("best", &self.best_weights),
            ("first", &self.first),
            ("second", &self.second),
        ]
    }

    /// Writes the file, whole or not at all.
    pub fn save(&self, path: &Path, run: &Identity, seconds: f64) -> Result<(), ConditionError> {
        let header = Header {
            run: run.clone(),
            epochs: self.epochs.clone(),
            best: self.best,
            updates: self.updates,
            seconds: self.seconds + seconds,
        };
        let json = serde_json::to_vec(&header).map_err(|it| FileError::at(path)(it.into()))?;
        let mut stored = Vec::new();
        for (name, weights) in self.vectors() {
            for (id, values) in weights.tensors() {
                stored.push(Entry::vector(format!("{name}.{}", id.0), values));
            }
        }
        atomic::write(path, |out| write_behind(out, &json, &stored))
            .map_err(FileError::at(path))?;
        Ok(())
    }

    /// Reads it back; `None` where there is none.
    pub fn load(
        path: &Path,
        run: &Identity,
        architecture: &Architecture,
    ) -> Result<Option<Self>, ConditionError> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(FileError::at(path)(error).into()),
        };
        let broken = |problem: &str| ConditionError::Checkpoint {
            path: path.to_owned(),
            problem: problem.to_owned(),
        };
        let truncated = || broken("is damaged");
        let (json, tensors) = split_behind(&bytes).ok_or_else(truncated)?;
        let header: Header = serde_json::from_slice(json).map_err(|_| truncated())?;
        if header.run != *run {
            return Err(broken("is of a run with other settings"));
        }
        let tensors = SafeTensors::deserialize(tensors).map_err(|_| truncated())?;
        let vector = |name: &str| {
            let mut weights = Weights::absent(architecture.parameters.len());
            for index in 0..architecture.parameters.len() {
                if let Ok(view) = tensors.tensor(&format!("{name}.{index}")) {
                    weights.set(ParameterId(index), floats(view.data()));
                }
            }
            weights
        };
        Ok(Some(Self {
            epochs: header.epochs,
            best: header.best,
            updates: header.updates,
            seconds: header.seconds,
            weights: vector("weights"),
            average: vector("average"),
            best_weights: vector("best"),
            first: vector("first"),
            second: vector("second"),
        }))
    }
}
