//! What `bench transfer` writes as JSON, and `bench compare` reads.

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Serialize};

use crate::evaluate::{
    Comparison, Corruption, Diversity, Failures, Interval, Novelty, Reliability, Scores, Summary,
};

use super::{super::Failure, subject::Subject};

/// Version of the schema. Version 1 had one split, and of every network the clean scores only.
pub(super) const SCHEMA: u32 = 2;
/// The method that is judged; the others are what it is compared with.
pub(super) const PREDICTED: &str = "predicted";
/// He initialisation.
pub(super) const HE: &str = "he";
/// He initialisation with measured statistics.
pub(super) const HE_CALIBRATED: &str = "he, calibrated";

/// A whole run.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Outcome {
    pub(super) schema: u32,
    pub(super) tool: String,
    pub(super) command: String,
    pub(super) seed: u64,
    pub(super) predictor: SubjectRecord,
    /// What was judged beside it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(super) baselines: Vec<SubjectRecord>,
    pub(super) data: DataRecord,
    pub(super) guard: GuardRecord,
    pub(super) splits: Vec<SplitResult>,
    /// A network of three convolutions that anyone might write, where the images fit it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) plain_cnn: Option<Axes>,
    pub(super) cost: Cost,
}

/// What was judged.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SubjectRecord {
    pub(super) name: String,
    pub(super) hash: String,
    /// Whether another program wrote the weights.
    pub(super) foreign: bool,
    /// What the weights are.
    pub(super) weights: String,
}

/// What it was judged on.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct DataRecord {
    pub(super) hash: String,
    pub(super) images: usize,
    /// Of every kind and severity.
    pub(super) corrupted_images: usize,
    pub(super) classes: usize,
}

/// What was refused because the predictor was trained on it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct GuardRecord {
    /// How training graphs are known.
    pub(super) graphs: String,
    pub(super) graphs_refused: Vec<String>,
    /// How training images are known.
    pub(super) images: String,
    pub(super) images_refused: usize,
}

/// One held-out set of graphs.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SplitResult {
    pub(super) split: String,
    pub(super) space: String,
    pub(super) methods: Vec<MethodResult>,
    /// Predicted weights against every other method, by top-1.
    pub(super) comparisons: BTreeMap<String, Comparison>,
    /// Training from random initialisation, where there are results of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) training: Option<TrainingResult>,
    /// Predicted weights beside references, where there are any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) novelty: Option<NoveltyResult>,
    /// Several samples of the same graphs, where there are any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) diversity: Option<DiversityResult>,
    pub(super) graphs: Vec<GraphResult>,
}

/// One method over all graphs.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct MethodResult {
    pub(super) method: String,
    pub(super) top1: Interval,
    /// Of top-1.
    pub(super) spread: Summary,
    pub(super) cross_entropy: Interval,
    pub(super) ece: Interval,
    pub(super) brier: Interval,
    /// Top-1 over all corruptions and severities.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) corrupted: Option<Interval>,
    /// Top-1 by severity.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub(super) corruptions: BTreeMap<Corruption, Vec<f64>>,
    pub(super) failures: Failures,
    /// The calibration curve: images by confidence.
    pub(super) reliability: Vec<Reliability>,
    /// To write the weights of one graph.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) seconds: Option<Interval>,
}

/// Predicted weights beside trained ones, over the graphs that were trained.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct TrainingResult {
    pub(super) graphs: usize,
    /// Top-1 of predicted weights on these graphs.
    pub(super) predicted: Interval,
    /// By epochs.
    pub(super) trained: Vec<TrainedResult>,
    /// Predicted top-1 divided by that after the longest training.
    pub(super) ratio: Interval,
    /// Epochs of training that the predicted weights are worth.
    pub(super) worth: Interval,
}

/// How new predicted weights are, over the graphs with a reference.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct NoveltyResult {
    pub(super) graphs: usize,
    /// Overlap of mistakes with the reference.
    pub(super) overlap: Interval,
    /// ‖weights − reference‖ / ‖reference‖
    pub(super) distance: Interval,
    /// Networks that are copies of their reference.
    pub(super) copies: usize,
    /// Networks that are more accurate than a noisy reference with as much overlap, of those that any
    /// such reference is known for.
    pub(super) above_noise: [usize; 2],
}

/// How different the samples of a graph are, over the graphs that have several.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct DiversityResult {
    pub(super) graphs: usize,
    /// Overlap of mistakes of two samples.
    pub(super) overlap: Interval,
    /// Share of images that one of two samples gets right and the other wrong.
    pub(super) disagreement: Interval,
}

/// One length of training.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct TrainedResult {
    pub(super) epochs: usize,
    pub(super) top1: Interval,
    /// Predicted weights against trained ones.
    pub(super) comparison: Comparison,
}

/// One graph.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct GraphResult {
    pub(super) name: String,
    /// Family, norm and activation, unless it has a name.
    #[serde(flatten)]
    pub(super) style: Option<StyleRecord>,
    pub(super) parameters: u64,
    pub(super) multiply_accumulates: u64,
    /// By method.
    pub(super) methods: BTreeMap<String, Axes>,
    /// Predicted weights beside a reference.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) novelty: Option<Novelty>,
    /// Samples of it beside each other.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) diversity: Option<Diversity>,
    /// Top-1 after epochs of training.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub(super) trained: BTreeMap<usize, f64>,
}

/// What a sampled graph is made of.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StyleRecord {
    pub(super) family: String,
    pub(super) norm: String,
    pub(super) activation: String,
}

/// One network's figures.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Axes {
    #[serde(flatten)]
    pub(super) scores: Scores,
    /// Top-1 by severity.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub(super) corrupted: BTreeMap<Corruption, Vec<f64>>,
    /// Why it could not be judged.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) failure: Option<String>,
    /// To write the weights.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) seconds: Option<f64>,
}

/// What the run took.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Cost {
    pub(super) seconds: f64,
    pub(super) peak_memory_bytes: Option<u64>,
    pub(super) threads: usize,
    /// Gradient steps that each predicted network took at test time.
    pub(super) gradient_evaluations: usize,
}

impl SubjectRecord {
    /// `graphs` are the names of those that it is judged on.
    pub(super) fn of(subject: &Subject, graphs: &[String]) -> Self {
        Self {
            name: subject.name(),
            hash: subject.hash(graphs),
            foreign: subject.is_foreign(),
            weights: subject.weights(),
        }
    }
}

impl Axes {
    pub(super) fn of(scores: Scores) -> Self {
        Self { scores, corrupted: BTreeMap::new(), failure: None, seconds: None }
    }

    pub(super) fn failed(images: usize, why: String) -> Self {
        Self { failure: Some(why), ..Self::of(Scores::failed(images)) }
    }

    /// Mean top-1 over corruptions and severities.
    pub(super) fn corrupted_top1(&self) -> Option<f64> {
        let all: Vec<f64> = self.corrupted.values().flatten().copied().collect();
        (!all.is_empty()).then(|| all.iter().sum::<f64>() / all.len() as f64)
    }
}

impl SplitResult {
    pub(super) fn method(&self, name: &str) -> Option<&MethodResult> {
        self.methods.iter().find(|method| method.method == name)
    }
}

impl Outcome {
    pub(super) fn load(path: &Path) -> Result<Self, Failure> {
        let refuse = |problem: String| Failure::from(format!("{}: {problem}", path.display()));
        let bytes = std::fs::read(path).map_err(|error| refuse(error.to_string()))?;
        let value: serde_json::Value =
            serde_json::from_slice(&bytes).map_err(|error| refuse(error.to_string()))?;
        match value["schema"].as_u64() {
            Some(schema) if schema == u64::from(SCHEMA) => {
                serde_json::from_value(value).map_err(|error| refuse(error.to_string()))
            }
            Some(schema) => Err(refuse(format!(
                "is of schema {schema}, this version reads {SCHEMA}; run the benchmark again"
            ))),
            None => Err(refuse("is no result of 'bench transfer'".to_owned())),
        }
    }
}
