//! The result of a transfer benchmark, as it is written.

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    FileError,
    evaluate::{
        Comparison, Corruption, Diversity, Failures, Interval, Novelty, Reliability, Scores,
        Summary,
    },
    spaces::Style,
};

use super::BenchmarkError;

/// Version of the schema. Version 1 had one split, and of every network the clean scores only.
pub const SCHEMA: u32 = 2;
/// The method that is evaluated; the others are what it is compared with.
pub const PREDICTED: &str = "predicted";
/// He initialisation.
pub const HE: &str = "he";
/// He initialisation with measured statistics.
pub const HE_CALIBRATED: &str = "he, calibrated";

/// A whole run.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// See [`SCHEMA`].
    pub schema: u32,
    /// `weightsmith` and its version.
    pub tool: String,
    /// The command line.
    pub command: String,
    /// Of everything random.
    pub seed: u64,
    /// What was evaluated.
    pub predictor: SubjectRecord,
    /// What was evaluated beside it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub baselines: Vec<SubjectRecord>,
    /// What it was evaluated on.
    pub data: DataRecord,
    /// What was left out because training saw it.
    pub guard: GuardRecord,
    /// By set of held-out graphs.
    pub splits: Vec<SplitResult>,
    /// A network of three convolutions that anyone might write, where the images fit it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub plain_cnn: Option<Axes>,
    /// What the run took.
    pub cost: Cost,
}

/// What was evaluated.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SubjectRecord {
    /// See [`super::Subject::name`].
    pub name: String,
    /// See [`super::Subject::hash`].
    pub hash: String,
    /// Whether another program wrote the weights.
    pub foreign: bool,
    /// What the weights are.
    pub weights: String,
}

/// What it was evaluated on.
#[derive(Debug, Serialize, Deserialize)]
pub struct DataRecord {
    /// SHA-256 of the decoded test images and labels.
    pub hash: String,
    /// Test images.
    pub images: usize,
    /// Of every kind and severity.
    pub corrupted_images: usize,
    /// Classes of the images.
    pub classes: usize,
}

/// What was refused because the predictor was trained on it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct GuardRecord {
    /// How training graphs are known.
    pub graphs: String,
    /// Names of the graphs that were left out.
    pub graphs_refused: Vec<String>,
    /// How training images are known.
    pub images: String,
    /// Images that were left out.
    pub images_refused: usize,
}

/// One held-out set of graphs.
#[derive(Debug, Serialize, Deserialize)]
pub struct SplitResult {
    /// See [`super::HeldOutSet::split`].
    pub split: String,
    /// See [`super::HeldOutSet::space`].
    pub space: String,
    /// Predicted weights first.
    pub methods: Vec<MethodResult>,
    /// Predicted weights against every other method, by top-1.
    pub comparisons: BTreeMap<String, Comparison>,
    /// Training from random initialisation, where there are results of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub training: Option<TrainingResult>,
    /// Predicted weights beside references, where there are any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub novelty: Option<NoveltyResult>,
    /// Several samples of the same graphs, where there are any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub diversity: Option<DiversityResult>,
    /// Graph by graph.
    pub graphs: Vec<GraphResult>,
}

/// One method over all graphs.
#[derive(Debug, Serialize, Deserialize)]
pub struct MethodResult {
    /// Its name.
    pub method: String,
    /// Mean accuracy.
    pub top1: Interval,
    /// Of top-1.
    pub spread: Summary,
    /// In nats.
    pub cross_entropy: Interval,
    /// Expected calibration error.
    pub ece: Interval,
    /// Brier score.
    pub brier: Interval,
    /// Top-1 over all corruptions and severities.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub corrupted: Option<Interval>,
    /// Top-1 by severity.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub corruptions: BTreeMap<Corruption, Vec<f64>>,
    /// Networks without a usable result.
    pub failures: Failures,
    /// The calibration curve: images by confidence.
    pub reliability: Vec<Reliability>,
    /// To write the weights of one graph.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub seconds: Option<Interval>,
}

/// Predicted weights beside trained ones, over the graphs that were trained.
#[derive(Debug, Serialize, Deserialize)]
pub struct TrainingResult {
    /// Graphs that were trained.
    pub graphs: usize,
    /// Top-1 of predicted weights on these graphs.
    pub predicted: Interval,
    /// By epochs.
    pub trained: Vec<TrainedResult>,
    /// Predicted top-1 divided by that after the longest training.
    pub ratio: Interval,
    /// Epochs of training that the predicted weights are worth.
    pub worth: Interval,
}

/// How new predicted weights are, over the graphs with a reference.
#[derive(Debug, Serialize, Deserialize)]
pub struct NoveltyResult {
    /// Graphs that have a reference.
    pub graphs: usize,
    /// Overlap of mistakes with the reference.
    pub overlap: Interval,
    /// ‖weights − reference‖ / ‖reference‖
    pub distance: Interval,
    /// Networks that are copies of their reference.
    pub copies: usize,
    /// Networks that are more accurate than a noisy reference with as much overlap, of those that any
    /// such reference is known for.
    pub above_noise: [usize; 2],
}

/// How different the samples of a graph are, over the graphs that have several.
#[derive(Debug, Serialize, Deserialize)]
pub struct DiversityResult {
    /// Graphs that have several samples.
    pub graphs: usize,
    /// Overlap of mistakes of two samples.
    pub overlap: Interval,
    /// Share of images that one of two samples gets right and the other wrong.
    pub disagreement: Interval,
}

/// One length of training.
#[derive(Debug, Serialize, Deserialize)]
pub struct TrainedResult {
    /// Epochs.
    pub epochs: usize,
    /// Top-1 of the trained weights.
    pub top1: Interval,
    /// Predicted weights against trained ones.
    pub comparison: Comparison,
}

/// One graph.
#[derive(Debug, Serialize, Deserialize)]
pub struct GraphResult {
    /// See [`super::HeldOut::name`].
    pub name: String,
    /// Family, norm and activation, unless it has a name.
    #[serde(flatten)]
    pub style: Option<StyleRecord>,
    /// Learned values.
    pub parameters: u64,
    /// For one image.
    pub multiply_accumulates: u64,
    /// By method.
    pub methods: BTreeMap<String, Axes>,
    /// Predicted weights beside a reference.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub novelty: Option<Novelty>,
    /// Samples of it beside each other.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub diversity: Option<Diversity>,
    /// Top-1 after epochs of training.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub trained: BTreeMap<usize, f64>,
}

/// What a sampled graph is made of.
#[derive(Debug, Serialize, Deserialize)]
pub struct StyleRecord {
    /// Family of the space.
    pub family: String,
    /// Normalisation.
    pub norm: String,
    /// Activation.
    pub activation: String,
}

/// One network's figures.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Axes {
    #[serde(flatten)]
    /// On the clean test images.
    pub scores: Scores,
    /// Top-1 by severity.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub corrupted: BTreeMap<Corruption, Vec<f64>>,
    /// Why it could not be evaluated.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub failure: Option<String>,
    /// To write the weights.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub seconds: Option<f64>,
}

/// What the run took.
#[derive(Debug, Serialize, Deserialize)]
pub struct Cost {
    /// Wall time.
    pub seconds: f64,
    /// Of the process; `None` where the system does not say.
    pub peak_memory_bytes: Option<u64>,
    /// Threads of the pool.
    pub threads: usize,
    /// Gradient steps that each predicted network took at test time.
    pub gradient_evaluations: usize,
}

impl Axes {
    /// Clean images only.
    pub fn of(scores: Scores) -> Self {
        Self { scores, corrupted: BTreeMap::new(), failure: None, seconds: None }
    }

    /// Of a network that cannot be evaluated: it gets no image right.
    pub fn failed(images: usize, why: String) -> Self {
        Self { failure: Some(why), ..Self::of(Scores::failed(images)) }
    }

    /// Mean top-1 over corruptions and severities.
    pub fn corrupted_top1(&self) -> Option<f64> {
        let all: Vec<f64> = self.corrupted.values().flatten().copied().collect();
        (!all.is_empty()).then(|| all.iter().sum::<f64>() / all.len() as f64)
    }
}

impl SplitResult {
    /// A method by its name.
    pub fn method(&self, name: &str) -> Option<&MethodResult> {
        self.methods.iter().find(|method| method.method == name)
    }
}

impl Outcome {
    /// Reads a result of this version's schema.
    pub fn load(path: &Path) -> Result<Self, BenchmarkError> {
        let bytes = std::fs::read(path).map_err(FileError::at(path))?;
        Self::parse(&bytes)
            .map_err(|problem| BenchmarkError::File { path: path.to_owned(), problem })
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let value: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        match value["schema"].as_u64() {
            Some(schema) if schema == u64::from(SCHEMA) => {
                serde_json::from_value(value).map_err(|error| error.to_string())
            }
            Some(schema) => Err(format!(
                "is of schema {schema}, this version reads {SCHEMA}; run the benchmark again"
            )),
            None => Err("is no result of 'bench transfer'".to_owned()),
        }
    }
}

impl From<Style> for StyleRecord {
    fn from(style: Style) -> Self {
        let lowercase = |value: &dyn std::fmt::Debug| format!("{value:?}").to_lowercase();
        Self {
            family: lowercase(&style.family),
            norm: lowercase(&style.norm),
            activation: lowercase(&style.activation),
        }
    }
}
