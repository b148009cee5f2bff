//! The rows of an ablation, as a file says them.

use std::path::Path;

use serde::{Deserialize, Serialize};

use weightsmith::{
    condition::Steering,
    predictor::{Sampling, Solver},
};

use crate::Failure;

/// `CONFIG.toml` of `ablate`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AblationConfig {
    /// Splits of the corpus.
    pub(super) splits: Vec<String>,
    /// Graphs of every split: the first that no predictor was trained on.
    pub(super) graphs: u64,
    /// Test images, the first.
    pub(super) images: usize,
    /// Draws of every row; each has its own seeds.
    #[serde(default = "one")]
    pub(super) draws: usize,
    /// The rows; every other one is compared with the first.
    pub(super) rows: Vec<Row>,
}

/// One way to fill a graph.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    /// Name for tables.
    pub(super) name: String,
    /// A predictor, by name or folder; `nearest:ZOO`, `mean:ZOO` or `he` for what it is compared with.
    pub(super) predictor: String,
    /// Samples that a draw takes.
    #[serde(default = "one")]
    pub(super) samples: usize,
    /// What is made of them.
    #[serde(default)]
    pub(super) combine: Combine,
    /// Estimates per sample; where it does not say, as the predictor has it.
    #[serde(default)]
    pub(super) steps: Option<usize>,
    /// How noise is taken off.
    #[serde(default)]
    pub(super) solver: Solver,
    /// Quality asked for.
    #[serde(default)]
    pub(super) quality: Option<f32>,
    /// See [`Sampling::guidance`].
    #[serde(default)]
    pub(super) guidance: f32,
    /// See [`Sampling::temperature`].
    #[serde(default = "whole")]
    pub(super) temperature: f32,
    /// How samples are steered towards training images, if they are.
    #[serde(default)]
    pub(super) steering: Option<Steering>,
}

/// What is made of the samples of a draw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Combine {
    /// Each is judged; their accuracies are averaged.
    #[default]
    Each,
    /// The one that agrees most with the others on the learned calibration images: no label, no data.
    Consensus,
    /// The one that agrees most with the others on validation images: no label.
    Agreement,
    /// The mean of their logits.
    Ensemble,
    /// The mean of their weights, calibrated.
    Average,
    /// The best on the test images: a bound, and no method.
    Oracle,
}

impl AblationConfig {
    pub(super) fn load(path: &Path) -> Result<Self, Failure> {
        let refuse = |problem: String| Failure::from(format!("{}: {problem}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| refuse(error.to_string()))?;
        let config: Self = toml::from_str(&text).map_err(|error| refuse(error.to_string()))?;
        let problem = match () {
            () if config.rows.is_empty() => "rows: at least one is needed",
            () if config.draws == 0 => "draws must be positive",
            () if config.rows.iter().any(|row| row.samples == 0) => "samples must be positive",
            () => return Ok(config),
        };
        Err(refuse(problem.to_owned()))
    }
}

impl Row {
    /// What is drawn for the row, for `draws` draws at once.
    pub(super) fn sampling(&self, usual: &Sampling, draws: usize, seed: u64) -> Sampling {
        Sampling {
            samples: self.samples * draws,
            steps: self.steps.unwrap_or(usual.steps),
            solver: self.solver,
            quality: self.quality.or(usual.quality),
            guidance: self.guidance,
            temperature: self.temperature,
            seed,
            first: 0,
        }
    }

    /// Whether two rows draw from the same distribution, so that one set of samples serves both.
    pub(super) fn draws_as(&self, other: &Self) -> bool {
        let key = |row: &Self| {
            (
                row.predictor.clone(),
                row.steps,
                row.solver,
                row.quality.map(f32::to_bits),
                row.guidance.to_bits(),
                row.temperature.to_bits(),
                row.steering.map(|it| (it.steps, it.batch, [it.rate, it.spread].map(f32::to_bits))),
            )
        };
        key(self) == key(other)
    }
}

fn one() -> usize {
    1
}

fn whole() -> f32 {
    1.0
}
