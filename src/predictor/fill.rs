//! Writing every parameter of an architecture, and saying for each one how.

use serde::Serialize;

use crate::{
    encoder::{NodeFeatures, data_nodes},
    graph::{Architecture, Distances, Parameter, ParameterId, Role, Weights},
    ops::{Registry, stranded},
    patches::{Mirror, PatchPlan, Sources},
};

use super::{Predictor, PredictorError, Sampling, StandIn, compensate::compensate, sample::draw};

/// Values estimated at a time, so that memory does not grow with the network.
const CHUNK: usize = 1 << 20;

/// Where the values of a parameter come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "label", content = "reason")]
#[non_exhaustive]
pub enum ValueSource {
    /// Written by the predictor.
    Predicted,
    /// What the file held.
    Kept,
    /// A conventional starting value.
    Default,
    /// Measured by running the filled network.
    Calibrated,
    /// Solved in closed form on labelled images.
    Solved,
    /// Trained on labelled images.
    Trained,
    /// Merged from several networks.
    Merged,
    /// Not written, with the reason. What the file holds, if it holds anything, stays.
    Skipped(String),
}

/// The weights of one architecture.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// The values; absent for parameters that are skipped, and for those that keep what the file holds
    /// as long as nobody read it.
    pub weights: Weights,
    /// Labels by parameter.
    pub labels: Vec<ValueSource>,
    /// Operators of the graph that the predictor had to take for others.
    pub stand_ins: Vec<StandIn>,
}

impl Prediction {
    /// Values of every parameter from elsewhere than a predictor, with statistics still to be measured.
    pub fn from_elsewhere(architecture: &Architecture, weights: Weights) -> Self {
        let label = |parameter: &Parameter| match parameter.role() {
            Some(role) if role.is_statistic() => ValueSource::Default,
            _ => ValueSource::Predicted,
        };
        let labels = architecture.parameters.iter().map(label).collect();
        Self { weights, labels, stand_ins: Vec::new() }
    }

    /// Says that what was predicted or solved is trained from here on.
    pub fn train_on(&mut self) {
        for label in &mut self.labels {
            if matches!(label, ValueSource::Predicted | ValueSource::Solved) {
                *label = ValueSource::Trained;
            }
        }
    }
}

impl Predictor {
    /// Predicts the weights of a resolved architecture, as [`Predictor::sampling`] says. Statistics of
    /// batch normalisations get their defaults; see [`super::calibrate`]. `holds_value` says whether the
    /// file has a value for a parameter.
    pub fn predict(
        &self,
        architecture: &Architecture,
        registry: &Registry,
        holds_value: impl Fn(ParameterId) -> bool,
    ) -> Result<Prediction, PredictorError> {
        let mut samples = self.sample(architecture, registry, holds_value, &self.sampling())?;
        Ok(samples.swap_remove(0))
    }

    /// Draws samples of the weights of a resolved architecture, all in one batch; at least one. A
    /// predictor without diffusion knows one sample, in one step and of one quality only.
    pub fn sample(
        &self,
        architecture: &Architecture,
        registry: &Registry,
        holds_value: impl Fn(ParameterId) -> bool,
        sampling: &Sampling,
    ) -> Result<Vec<Prediction>, PredictorError> {
        self.check(sampling)?;
        let mut features = self.features(architecture, registry)?;
        let (network, stand_ins, differences) =
            self.acquaint(architecture, registry, &mut features);
        let mut samples = vec![Weights::absent(architecture.parameters.len()); sampling.samples];
        if !features.is_empty() {
            let follows = self.config.network.sources;
            let sources = follows.then(|| Sources::new(architecture, registry));
            let plan = |range| {
                PatchPlan::of_parameters(architecture, &features.nodes, sources.as_ref(), range)
            };
            let parts: Vec<PatchPlan> = chunks(architecture).into_iter().map(plan).collect();
            let diffusion = self.config.network.diffusion.as_ref();
            samples = draw(&network, diffusion, &features, &parts, sampling, &self.device);
            let mirror = diffusion.filter(|it| it.mirror && sampling.first + sampling.samples > 1);
            if let Some(mirror) = mirror.and_then(|_| Mirror::of(architecture, registry)) {
                let odd = 1 - sampling.first % 2;
                samples.iter_mut().skip(odd).step_by(2).for_each(|weights| mirror.turn(weights));
            }
        }
        let stranded = stranded(architecture, registry);
        let prediction = |mut weights: Weights| {
            compensate(architecture, registry, &differences, &mut weights);
            architecture.constrain(&mut weights);
            let mut labels = Vec::with_capacity(weights.len());
            for (index, parameter) in architecture.parameters.iter().enumerate() {
                let id = ParameterId(index);
                let label = match weights.get(id) {
                    Some(_) => ValueSource::Predicted,
                    None => match stranded.get(&id) {
                        Some(why) => ValueSource::Skipped(why.clone()),
                        None => without(parameter, || holds_value(id)),
                    },
                };
                if let (ValueSource::Default, Some(length)) = (&label, parameter.len()) {
                    let value = f32::from(parameter.role() == Some(Role::RunningVariance));
                    weights.set(id, vec![value; length]);
                }
                labels.push(label);
            }
            Prediction { weights, labels, stand_ins: stand_ins.clone() }
        };
        Ok(samples.into_iter().map(prediction).collect())
    }
}

impl Predictor {
    fn check(&self, sampling: &Sampling) -> Result<(), PredictorError> {
        let asked = Sampling { seed: 0, first: 0, ..*sampling };
        let refuse = |problem: &str| Err(PredictorError::Mismatch(problem.to_owned()));
        match &self.config.network.diffusion {
            _ if sampling.samples == 0 || sampling.steps == 0 => {
                refuse("at least one sample in one step is to be drawn")
            }
            _ if !(sampling.temperature.is_finite() && sampling.temperature >= 0.0) => {
                refuse("the temperature must be 0 or more")
            }
            None if asked != Sampling::default() => refuse(&format!(
                "the predictor '{}' writes one set of weights, in one step and of one quality; choose one \
                 with network.diffusion, such as the bundled 'diffusion'",
                self.config.name
            )),
            _ => Ok(()),
        }
    }
}

impl Predictor {
    pub(super) fn features(
        &self,
        architecture: &Architecture,
        registry: &Registry,
    ) -> Result<NodeFeatures, PredictorError> {
        let nodes = architecture.dag.node_count();
        if nodes > Distances::LARGEST {
            let most = Distances::LARGEST;
            let problem = format!("the graph has {nodes} nodes; the encoder takes at most {most}");
            return Err(PredictorError::Mismatch(problem));
        }
        let encoder = self.node_encoder.as_deref();
        self.config.network.encoder.check(encoder)?;
        let features = NodeFeatures::read(architecture, registry, &self.vocabulary);
        Ok(match encoder {
            None => features,
            Some(encoder) => features.with_further(architecture, registry, encoder),
        })
    }
}

/// The label of a parameter that is not predicted.
fn without(parameter: &Parameter, holds_value: impl Fn() -> bool) -> ValueSource {
    match (parameter.role(), parameter.len()) {
        _ if parameter.fixed && holds_value() => ValueSource::Kept,
        (Some(role), Some(_)) if role.is_statistic() => ValueSource::Default,
        _ if holds_value() => ValueSource::Kept,
        (_, None) => ValueSource::Skipped("its shape is not known".to_owned()),
        (None, _) => ValueSource::Skipped("no known operator reads it".to_owned()),
        _ => ValueSource::Skipped("its role is not predicted".to_owned()),
    }
}

/// How every parameter of a resolved architecture would be filled by any predictor, with
/// statistics that can be measured.
pub fn expected(
    architecture: &Architecture,
    holds_value: impl Fn(ParameterId) -> bool,
) -> Vec<ValueSource> {
    let plan = PatchPlan::new(architecture, &data_nodes(architecture), None);
    let label = |(index, parameter)| {
        let id = ParameterId(index);
        match plan.covers(id) {
            true => ValueSource::Predicted,
            false => match without(parameter, || holds_value(id)) {
                ValueSource::Default => ValueSource::Calibrated,
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
