//! Writing every parameter of an architecture, and saying for each one how.

use serde::Serialize;

use crate::{
    encoder::{NodeBatch, NodeFeatures, data_nodes},
    graph::{Architecture, Distances, Parameter, ParameterId, Role},
    ops::Registry,
    patches::{PatchPlan, Sources},
};

use super::{Estimate, Job, Predictor, PredictorError, StandIn, compensate::compensate};

/// Values estimated at a time, so that memory does not grow with the network.
const CHUNK: usize = 1 << 22;

/// How a parameter got its values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "label", content = "reason")]
pub enum Filled {
    /// Written by the predictor.
    Predicted,
    /// What the file held.
    Kept,
    /// A conventional starting value.
    Default,
    /// Measured by running the filled network.
    Calibrated,
    /// Not written, and the file holds no value either.
    Skipped(String),
}

/// The weights of one architecture.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// Values by parameter; empty for those kept or skipped.
    pub weights: Vec<Vec<f32>>,
    /// Labels by parameter.
    pub labels: Vec<Filled>,
    /// Operators of the graph that the predictor had to take for others.
    pub stand_ins: Vec<StandIn>,
}

impl Predictor {
    /// Predicts the weights of a resolved architecture. Statistics of batch normalisations get
    /// their defaults; see [`super::calibrate`]. `holds_value` says whether the file has a value
    /// for a parameter.
    pub fn predict(
        &self,
        architecture: &Architecture,
        registry: &Registry,
        holds_value: impl Fn(ParameterId) -> bool,
    ) -> Result<Prediction, PredictorError> {
        let nodes = architecture.dag.node_count();
        if nodes > Distances::LARGEST {
            let most = Distances::LARGEST;
            let problem = format!("the graph has {nodes} nodes; the encoder takes at most {most}");
            return Err(PredictorError::Mismatch(problem));
        }
        let mut features = self.features(architecture, registry)?;
        let (network, stand_ins, differences) =
            self.acquaint(architecture, registry, &mut features);
        let count = architecture.parameters.len();
        let mut weights = vec![Vec::new(); count];
        let mut labels = Vec::with_capacity(count);
        if !features.is_empty() {
            let batch = NodeBatch::new(&[&features], &self.device);
            let tokens = network.tokens(&batch);
            let follows = self.config.network.sources;
            let sources = follows.then(|| Sources::new(architecture, registry));
            for range in chunks(architecture) {
                let (nodes, sources) = (&features.nodes, sources.as_ref());
                let plan = PatchPlan::of_parameters(architecture, nodes, sources, range.clone());
                let jobs = [Job { features: &features, plan: &plan }];
                let estimate = Estimate::from_tokens(
                    &network,
                    tokens.clone(),
                    batch.nodes,
                    &jobs,
                    &self.device,
                );
                for (index, values) in estimate.weights().remove(0).into_iter().enumerate() {
                    if !values.is_empty() {
                        weights[index] = values;
                    }
                }
            }
        }
        compensate(architecture, registry, &differences, &mut weights);
        for (index, (parameter, weights)) in
            architecture.parameters.iter().zip(&mut weights).enumerate()
        {
            let label = match weights.is_empty() {
                true => without(parameter, || holds_value(ParameterId(index))),
                false => Filled::Predicted,
            };
            if let (Filled::Default, Some(length)) = (&label, parameter.len()) {
                let value = f32::from(parameter.role() == Some(Role::RunningVariance));
                *weights = vec![value; length];
            }
            labels.push(label);
        }
        Ok(Prediction { weights, labels, stand_ins })
    }
}

impl Predictor {
    fn features(
        &self,
        architecture: &Architecture,
        registry: &Registry,
    ) -> Result<NodeFeatures, PredictorError> {
        let encoder = self.node_encoder.as_deref();
        self.config.network.encoder.check(encoder).map_err(PredictorError::Mismatch)?;
        let features = NodeFeatures::read(architecture, registry, &self.vocabulary);
        Ok(match encoder {
            None => features,
            Some(encoder) => features.with_further(architecture, registry, encoder),
        })
    }
}

/// The label of a parameter that is not predicted.
fn without(parameter: &Parameter, holds_value: impl Fn() -> bool) -> Filled {
    match (parameter.role(), parameter.len()) {
        (Some(Role::RunningMean | Role::RunningVariance), Some(_)) => Filled::Default,
        _ if holds_value() => Filled::Kept,
        (_, None) => Filled::Skipped("its shape is not known".to_owned()),
        (None, _) => Filled::Skipped("no known operator reads it".to_owned()),
        _ => Filled::Skipped("its role is not predicted".to_owned()),
    }
}

/// How every parameter of a resolved architecture would be filled by any predictor, with
/// statistics that can be measured.
pub fn expected(
    architecture: &Architecture,
    holds_value: impl Fn(ParameterId) -> bool,
) -> Vec<Filled> {
    let plan = PatchPlan::new(architecture, &data_nodes(architecture), None);
    let label = |(index, parameter)| {
        let id = ParameterId(index);
        match plan.covers(id) {
            true => Filled::Predicted,
            false => match without(parameter, || holds_value(id)) {
                Filled::Default => Filled::Calibrated,
                label => label,
            },
        }
    };
    architecture.parameters.iter().enumerate().map(label).collect()
}

/// Ranges of parameters that together hold about [`CHUNK`] values.
fn chunks(architecture: &Architecture) -> Vec<std::ops::Range<usize>> {
    let mut ranges = Vec::new();
    let (mut start, mut held) = (0, 0);
    for (index, parameter) in architecture.parameters.iter().enumerate() {
        held += parameter.len().unwrap_or(0);
        if held >= CHUNK {
            ranges.push(start..index + 1);
            (start, held) = (index + 1, 0);
        }
    }
    ranges.push(start..architecture.parameters.len());
    ranges
}
