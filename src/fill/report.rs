//! `report.json`: what was done to every parameter, and where it came from.

use std::{collections::BTreeMap, path::Path};

use serde::Serialize;

use crate::{
    condition::Distilled,
    graph::{Role, Scores},
    onnx::{self, OnnxError, sha256},
    predictor::{CalibrationSource, Outlook, Prediction, StandIn, ValueSource},
};

use super::{
    FileHash, FilledNetwork, Network, Provenance, SanityCheck,
    classes::{CLASSES, spelled},
    metadata::metadata_name,
    outputs::file_name,
    stored::StoredTensor,
};

/// Version of the report's schema.
pub const SCHEMA: u32 = 1;

/// The whole report.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// See [`SCHEMA`].
    pub schema: u32,
    /// Who wrote the weights.
    pub provenance: Provenance,
    /// The file that was filled.
    pub input: FileHash,
    /// The files that were written beside the report; none before they are.
    pub files: Vec<FileHash>,
    /// Where batch-normalisation statistics were measured.
    pub calibration: CalibrationSource,
    /// How the head was solved on what the predictor learned, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distilled_head: Option<Distilled>,
    /// Names of the classes in the order of the outputs; none where nobody knows them.
    pub classes: Option<Vec<String>>,
    /// What the file returns for each class.
    pub scores: Scores,
    /// What the user should know.
    pub notices: Vec<String>,
    /// Operators that the predictor never met, and what it took them for.
    pub stand_ins: Vec<StandIn>,
    /// How far the graph is from those that the predictor was trained on, and what to expect; `None`
    /// where that was not measured.
    pub outlook: Option<Outlook>,
    /// Operators that are not supported.
    pub unsupported: Vec<String>,
    /// Whether the network is alive.
    pub sanity_check: SanityCheck,
    /// How many values got which label.
    pub parameters: Counts,
    /// Every parameter.
    pub tensors: Vec<TensorReport>,
}

impl Report {
    /// On a network whose weights come from there.
    pub(super) fn of(
        filled: &FilledNetwork,
        provenance: Provenance,
        classes: Option<Vec<String>>,
        outlook: Option<Outlook>,
    ) -> Result<Self, OnnxError> {
        let FilledNetwork {
            network,
            prediction,
            calibration,
            distilled,
            notices,
            sanity_check,
            ..
        } = filled;
        let tensor = |stored: &StoredTensor| -> Result<_, OnnxError> {
            let (tensor, id) = (stored.tensor, stored.parameter);
            let parameter = &network.architecture.parameters[id.0];
            let written = prediction.weights.get(id).is_some()
                && prediction.labels[id.0] != ValueSource::Kept;
            let values = stored.values_or_stored(&prediction.weights)?;
            let bytes = onnx::encode(&values, tensor.dtype.to_onnx());
            Ok(TensorReport {
                initializer: tensor.name.clone(),
                state_dict: filled.in_state_dict(id.0).then(|| stored.state_dict.to_owned()),
                shape: tensor.shape.clone(),
                role: tensor.role().or(parameter.role()),
                uses: parameter.slots.len(),
                label: prediction.labels[id.0].clone(),
                statistics: Statistics::of(&values).filter(|_| written),
                sha256: bytes.filter(|bytes| !bytes.is_empty()).map(|bytes| sha256(&bytes)),
            })
        };
        let tensors = network.tensors().iter().map(tensor).collect::<Result<Vec<_>, _>>()?;
        let noticed = network.architecture.notices.iter().chain(notices).cloned();
        let noticed = noticed.chain(network.look_fixed()).chain(skipped(&tensors));
        Ok(Self {
            schema: SCHEMA,
            provenance,
            input: FileHash {
                name: file_name(Path::new(network.model.name())),
                sha256: sha256(network.model.bytes()),
            },
            files: Vec::new(),
            calibration: *calibration,
            distilled_head: *distilled,
            classes,
            scores: network.architecture.scores,
            notices: noticed.collect(),
            stand_ins: prediction.stand_ins.clone(),
            outlook,
            unsupported: network.unsupported(),
            sanity_check: sanity_check.clone(),
            parameters: Counts::of(network, prediction),
            tensors,
        })
    }

    /// Whether all of the network was filled, and it is alive as far as was seen.
    pub fn is_complete(&self) -> bool {
        self.unsupported.is_empty() && self.sanity_check.passed()
    }

    /// What stands of it in an ONNX file: names and values.
    pub fn metadata(&self) -> Vec<(String, String)> {
        let Counts { predicted, kept, default, calibrated, solved, trained, merged, skipped } =
            self.parameters;
        let counts = format!(
            "predicted {predicted}, kept {kept}, default {default}, calibrated {calibrated}, solved {solved}, trained {trained}, skipped {skipped}"
        );
        let counts = match merged {
            0 => counts,
            merged => format!("{counts}, merged {merged}"),
        };
        let classes = self.classes.as_ref().map(|names| (CLASSES, spelled(names)));
        let entries = self.origin_beside(Some(("parameters", counts))).chain(classes);
        entries.map(|(name, value)| (metadata_name(name), value)).collect()
    }

    /// What stands in a safetensors file: where the weights come from.
    pub fn origin(&self) -> Vec<(String, String)> {
        let entries = self.origin_beside(None);
        entries.map(|(name, value)| (metadata_name(name), value)).collect()
    }

    /// Where the weights come from; a further entry stands behind what every file says.
    fn origin_beside(
        &self,
        further: Option<(&'static str, String)>,
    ) -> impl Iterator<Item = (&'static str, String)> {
        let always = self.provenance.always_in_metadata().into_iter();
        always.chain(further).chain(self.provenance.sometimes_in_metadata())
    }
}

/// What is to be said of parameters that were skipped: a sentence for each reason.
fn skipped(tensors: &[TensorReport]) -> Vec<String> {
    let mut reasons: BTreeMap<&str, (&str, usize)> = BTreeMap::new();
    for tensor in tensors {
        if let ValueSource::Skipped(why) = &tensor.label {
            let name = tensor.state_dict.as_ref().unwrap_or(&tensor.initializer);
            reasons.entry(why).and_modify(|(_, others)| *others += 1).or_insert((name.as_str(), 0));
        }
    }
    let sentence = |(why, (name, others)): (&str, (&str, usize))| match others {
        0 => format!("'{name}' is not predicted: {why}"),
        others => format!("'{name}' is not predicted, like {others} more: {why}"),
    };
    reasons.into_iter().map(sentence).collect()
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
    /// Solved on labelled images.
    pub solved: usize,
    /// Trained on labelled images.
    pub trained: usize,
    /// Merged from several networks.
    #[serde(skip_serializing_if = "is_zero")]
    pub merged: usize,
    /// Not written, and without a value; the values of tensors of unknown shape count as one.
    pub skipped: usize,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// One parameter.
#[derive(Clone, Debug, Serialize)]
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
    pub label: ValueSource,
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
    /// Counts the values of every tensor under its label.
    pub fn of(network: &Network, prediction: &Prediction) -> Self {
        let mut counts = Self::default();
        for stored in network.tensors() {
            let count = match &prediction.labels[stored.parameter.0] {
                ValueSource::Predicted => &mut counts.predicted,
                ValueSource::Kept => &mut counts.kept,
                ValueSource::Default => &mut counts.default,
                ValueSource::Calibrated => &mut counts.calibrated,
                ValueSource::Solved => &mut counts.solved,
                ValueSource::Trained => &mut counts.trained,
                ValueSource::Merged => &mut counts.merged,
                ValueSource::Skipped(_) => &mut counts.skipped,
            };
            *count += stored.tensor.len().unwrap_or(1);
        }
        counts
    }
}
