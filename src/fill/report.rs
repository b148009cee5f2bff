//! `report.json`: what was done to every parameter, and where it came from.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    graph::{Architecture, Role},
    predictor::{CalibrationSource, Filled, Prediction, Sampling, StandIn, Steering, Support},
};

/// Version of the report's schema.
pub const SCHEMA: u32 = 1;

/// The whole report.
#[derive(Debug, Serialize)]
pub struct Report {
    /// See [`SCHEMA`].
    pub schema: u32,
    /// Who wrote the weights.
    pub provenance: Provenance,
    /// The file that was filled.
    pub input: FileHash,
    /// The files that were written beside the report.
    pub files: Vec<FileHash>,
    /// Where batch-normalisation statistics were measured.
    pub calibration: CalibrationSource,
    /// What the user should know.
    pub notices: Vec<String>,
    /// Operators that the predictor never met, and what it took them for.
    pub stand_ins: Vec<StandIn>,
    /// Operators that are not supported.
    pub unsupported: Vec<String>,
    /// How many values got which label.
    pub parameters: Counts,
    /// Every parameter.
    pub tensors: Vec<TensorReport>,
}

/// Who wrote the weights.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Provenance {
    /// `weightsmith` and its version.
    pub tool: String,
    /// Name of the predictor.
    pub predictor: String,
    /// SHA-256 of the predictor's two files.
    pub predictor_hash: String,
    /// Seed.
    pub seed: u64,
    /// How the weights were drawn, and which of the samples they are, where there could be several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drawn: Option<Drawn>,
    /// How the weights were moved towards labelled images, if they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steered: Option<Steered>,
    /// Device.
    pub device: String,
    /// What the weights are.
    pub weights: String,
}

/// One sample among others.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Drawn {
    /// What was drawn.
    pub sampling: Sampling,
    /// Number of this sample; none for the mean of all.
    pub sample: Option<usize>,
}

impl fmt::Display for Drawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sampling { samples, steps, solver, quality, guidance, temperature, .. } = self.sampling;
        match self.sample {
            Some(sample) => write!(f, "sample {sample} of {samples}")?,
            None => write!(f, "mean of {samples} samples")?,
        }
        write!(f, ", {steps} steps of {solver:?}, quality ")?;
        match quality {
            Some(quality) => write!(f, "{quality}")?,
            None => write!(f, "any")?,
        }
        write!(f, ", guidance {guidance}, temperature {temperature}")
    }
}

/// Towards what weights were moved.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Steered {
    /// How.
    pub steering: Steering,
    /// Hash of the data set.
    pub data_hash: String,
}

impl Steered {
    /// Of a support set.
    pub fn by(support: &Support) -> Self {
        Self { steering: support.steering, data_hash: support.data.hash.clone() }
    }
}

impl fmt::Display for Steered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Steering { steps, batch, rate, spread } = self.steering;
        write!(f, "{steps} steps of {batch} images at rate {rate}")?;
        if spread != 1.0 {
            write!(f, " times up to {spread}")?;
        }
        write!(f, ", data {}", self.data_hash)
    }
}

/// A file and what is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileHash {
    /// Name without its folder.
    pub name: String,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
}

/// How many values got which label.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Counts {
    /// Written by the predictor.
    pub predicted: usize,
    /// What the file held.
    pub kept: usize,
    /// Conventional starting values.
    pub default: usize,
    /// Measured.
    pub calibrated: usize,
    /// Not written, and without a value; the values of tensors of unknown shape count as one.
    pub skipped: usize,
}

/// One parameter.
#[derive(Debug, Serialize)]
pub struct TensorReport {
    /// Name in the ONNX file.
    pub initializer: String,
    /// Name in the safetensors file.
    pub state_dict: Option<String>,
    /// Extents.
    pub shape: Option<Vec<usize>>,
    /// What it does.
    pub role: Option<Role>,
    /// How many operators read it; more than one: a tied parameter.
    pub uses: usize,
    /// How it got its values.
    #[serde(flatten)]
    pub label: Filled,
    /// What the values look like.
    pub statistics: Option<Statistics>,
    /// SHA-256 of its bytes in the ONNX file, in hexadecimal; not for tensors without values.
    pub sha256: Option<String>,
}

/// Moments of a tensor.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Statistics {
    /// Mean.
    pub mean: f32,
    /// Standard deviation.
    pub std: f32,
    /// Smallest value.
    pub min: f32,
    /// Largest value.
    pub max: f32,
}

impl Statistics {
    /// Of some values; `None` of none.
    pub fn of(values: &[f32]) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        let count = values.len() as f64;
        let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
        let square = values.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>();
        Some(Self {
            mean: mean as f32,
            std: (square / count).sqrt() as f32,
            min: values.iter().copied().fold(f32::INFINITY, f32::min),
            max: values.iter().copied().fold(f32::NEG_INFINITY, f32::max),
        })
    }
}

impl Counts {
    /// Counts the values of every parameter under its label.
    pub fn of(architecture: &Architecture, prediction: &Prediction) -> Self {
        let mut counts = Self::default();
        for (parameter, label) in architecture.parameters.iter().zip(&prediction.labels) {
            let count = match label {
                Filled::Predicted => &mut counts.predicted,
                Filled::Kept => &mut counts.kept,
                Filled::Default => &mut counts.default,
                Filled::Calibrated => &mut counts.calibrated,
                Filled::Skipped(_) => &mut counts.skipped,
            };
            *count += parameter.len().unwrap_or(1);
        }
        counts
    }
}
