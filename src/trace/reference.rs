//! What predictors write for a graph.

use crate::{
    fill::Network,
    graph::{ParameterId, Role, Weights},
    predictor::{Predictor, PredictorError, Sampling, ValueSource},
    weights::distance,
};

use super::balance::balanced;

/// Relative distance of weights that differ by rounding.
const SAME: f64 = 1e-3;

/// The weights that predictors write for a graph, in their gauge.
pub(super) struct Reference {
    /// The predictors; all of them write the same.
    pub predictors: Vec<String>,
    /// Number of the sample.
    pub sample: usize,
    /// Balanced; absent where there is nothing to compare.
    pub weights: Weights,
}

/// What every predictor writes, each set of weights once. Of one that denoises this is its first sample, which all
/// seeds share if it is anchored, and its second, which may be mirrored.
pub(super) fn references(
    network: &Network,
    predictors: &[Predictor],
) -> Result<Vec<Reference>, PredictorError> {
    let Network { architecture, registry, .. } = network;
    let mut references: Vec<Reference> = Vec::new();
    for predictor in predictors {
        let samples = 1 + usize::from(predictor.config.network.diffusion.is_some());
        let sampling = Sampling { samples, ..predictor.sampling() };
        let predictions = predictor.sample(architecture, registry, |_| false, &sampling)?;
        for (sample, prediction) in predictions.into_iter().enumerate() {
            let mut weights = prediction.weights;
            for (index, label) in prediction.labels.iter().enumerate() {
                if *label != ValueSource::Predicted {
                    weights.set(ParameterId(index), Vec::new());
                }
            }
            let weights = comparable(network, &weights);
            let name = predictor.config.name.clone();
            let same =
                |known: &&mut Reference| distance(architecture, &weights, &known.weights) < SAME;
            match references.iter_mut().find(same) {
                Some(known) => known.predictors.push(name),
                None => references.push(Reference { predictors: vec![name], sample, weights }),
            }
        }
    }
    Ok(references)
}

/// The weights of layers, balanced; everything else is absent.
pub(super) fn comparable(network: &Network, weights: &Weights) -> Weights {
    let parameters = &network.architecture.parameters;
    weights.map(|ParameterId(index), values| {
        let parameter = &parameters[index];
        match parameter.shape.as_deref() {
            Some(shape @ [_, _, ..])
                if parameter.role() == Some(Role::Weight)
                    && shape.iter().product::<usize>() == values.len()
                    && values.iter().any(|&value| value != 0.0) =>
            {
                balanced(values, shape)
            }
            _ => Vec::new(),
        }
    })
}
