//! A network with calibrated weights.

use rayon::prelude::*;

use crate::{
    condition::{Completed, ConditionError, Distilled, Fitted, Fitting, Support, complete},
    graph::{Origin, ParameterId, Weights, Wiring},
    onnx::{
        OnnxError,
        splice::{Changes, Fill},
    },
    predictor::{
        CalibrationImages, CalibrationSource, Prediction, Predictor, PredictorError, Sampling,
        ValueSource, Watermark, calibrate,
    },
};

use super::{
    Network,
    sanity::{SANITY_IMAGES, SanityCheck, at_chance},
};

/// The weights of a network and how they came about.
#[derive(Debug)]
pub struct FilledNetwork<'a> {
    pub(super) network: &'a Network,
    pub(super) prediction: Prediction,
    /// Where statistics were measured, if they were.
    pub(super) calibration: CalibrationSource,
    /// How the head was solved on what the predictor learned, if it was.
    pub(super) distilled: Option<Distilled>,
    /// How the weights were fitted to labelled images, if they were.
    pub(super) fitted: Option<Fitted>,
    /// What the user should know.
    pub(super) notices: Vec<String>,
    /// Whether it is alive.
    pub(super) sanity_check: SanityCheck,
}

impl<'a> FilledNetwork<'a> {
    /// Predicts, marks if there is a key, fits to a support set if there is one, and calibrates, once for every
    /// sample.
    pub fn sample(
        network: &'a Network,
        predictor: &Predictor,
        images: &CalibrationImages,
        source: CalibrationSource,
        sampling: &Sampling,
        support: Option<&Support>,
        watermark: Option<&Watermark>,
    ) -> Result<Vec<Self>, ConditionError> {
        let Network { architecture, registry, .. } = network;
        let mut samples = predictor.sample(
            architecture,
            registry,
            |id| architecture.holds_value(id),
            sampling,
        )?;
        for sample in &mut samples {
            keep_values(network, sample).map_err(PredictorError::from)?;
            if let Some(watermark) = watermark {
                watermark.mark(architecture, sample);
            }
        }
        let complete = |prediction: &mut Prediction| {
            complete(architecture, registry, prediction, predictor, images)
        };
        let Some(support) = support else {
            let finish = |mut prediction| {
                let Completed { unmeasured, head } = complete(&mut prediction)?;
                let mut filled =
                    Self::measured(network, prediction, images, source, unmeasured.as_deref());
                filled.sanity_check.findings.extend(head.as_ref().and_then(at_chance));
                Ok(Self { distilled: head, ..filled })
            };
            let filled: Result<_, PredictorError> = samples.into_par_iter().map(finish).collect();
            return Ok(filled?);
        };
        if support.own_classes {
            samples.par_iter_mut().try_for_each(|sample| complete(sample).map(drop))?;
        }
        let fitting = Fitting { architecture, registry, input: &predictor.config.input, images };
        let stream = [sampling.seed, sampling.first as u64];
        let fitted = support.fit(&fitting, &mut samples, stream)?;
        let finish = |prediction| Self::of(network, prediction, images, source);
        let mut filled: Vec<Self> =
            samples.into_par_iter().map(finish).collect::<Result<_, PredictorError>>()?;
        for (filled, fitted) in filled.iter_mut().zip(fitted) {
            filled.notices.extend_from_slice(&fitted.notices);
            filled.fitted = Some(fitted);
        }
        Ok(filled)
    }

    /// Calibrates a prediction and sees whether the network is alive.
    pub fn of(
        network: &'a Network,
        mut prediction: Prediction,
        images: &CalibrationImages,
        source: CalibrationSource,
    ) -> Result<Self, PredictorError> {
        let Network { architecture, registry, .. } = network;
        let unmeasured = calibrate(architecture, registry, &mut prediction, images)?;
        Ok(Self::measured(network, prediction, images, source, unmeasured.as_deref()))
    }

    fn measured(
        network: &'a Network,
        prediction: Prediction,
        images: &CalibrationImages,
        source: CalibrationSource,
        unmeasured: Option<&str>,
    ) -> Self {
        let measured = prediction.labels.contains(&ValueSource::Calibrated);
        let calibration = if measured { source } else { CalibrationSource::None };
        Self::checked(network, prediction, images, calibration, unmeasured)
    }

    /// Sees whether a network is alive whose statistics were measured, or why not.
    pub(super) fn checked(
        network: &'a Network,
        prediction: Prediction,
        images: &CalibrationImages,
        calibration: CalibrationSource,
        unmeasured: Option<&str>,
    ) -> Self {
        let architecture = &network.architecture;
        let fitted = images.fitted(architecture, SANITY_IMAGES);
        let sanity_check = SanityCheck::of(
            network,
            &prediction,
            fitted.as_ref().map(|fitted| &fitted.images).map_err(String::as_str),
            unmeasured,
        );
        let not_run = sanity_check.not_run.as_ref().filter(|_| sanity_check.passed());
        let not_run = not_run
            .map(|why| format!("the filled network was not run to see that it is alive: {why}"));
        let notices = fitted.ok().and_then(|fitted| fitted.notice).into_iter().chain(not_run);
        let notices = notices.collect();
        Self {
            network,
            prediction,
            calibration,
            distilled: None,
            fitted: None,
            notices,
            sanity_check,
        }
    }

    /// The weights; absent for parameters that keep what the file holds, and for those that have no
    /// value.
    pub fn weights(&self) -> &Weights {
        &self.prediction.weights
    }

    /// The tensors to splice into the file; those that stay as they are stay there.
    pub fn fills(&self) -> Changes<'_> {
        let mut changes = fills(self.network, self.weights());
        for stored in self.network.tensors() {
            let kept = self.prediction.labels[stored.parameter.0] == ValueSource::Kept;
            if kept && stored.tensor.wiring == Wiring::default() {
                changes.fills.retain(|fill| fill.name != stored.tensor.name);
                if let Origin::Constant(position) = stored.tensor.origin {
                    changes.dropped_nodes.remove(&position);
                }
            }
        }
        changes
    }
}

/// Reads what the file holds of the parameters that keep it, so that the network can be run.
fn keep_values(network: &Network, prediction: &mut Prediction) -> Result<(), OnnxError> {
    for (index, label) in prediction.labels.iter().enumerate() {
        let id = ParameterId(index);
        if *label == ValueSource::Kept
            && network.architecture.parameters[index].dtype.is_float()
            && let Some(value) = network.architecture.value_in(&network.model, id)?
        {
            prediction.weights.set(id, value.data);
        }
    }
    Ok(())
}

/// Weights as what to splice into the file. Tensors that stay and whose data is in another
/// file come along, since the result may stand in another folder.
pub fn fills<'a>(network: &'a Network, weights: &'a Weights) -> Changes<'a> {
    let mut changes = Changes {
        list_as_inputs: network.model.ir_version() < 4,
        inline_external: true,
        ..Changes::default()
    };
    for stored in network.tensors() {
        let tensor = stored.tensor;
        let (Some(values), Some(shape)) = (stored.values(weights), tensor.shape.as_deref()) else {
            continue;
        };
        if !tensor.dtype.is_float() {
            continue;
        }
        if let Origin::Constant(position) | Origin::ConstantOfShape(position) = tensor.origin
            && tensor.wiring == Wiring::default()
        {
            changes.dropped_nodes.insert(position);
        }
        changes.dropped_nodes.extend(&tensor.wiring.supplants);
        let inputs = tensor.wiring.inputs.iter();
        changes.inputs.extend(inputs.map(|&input| (input, tensor.name.as_str())));
        let data_type = tensor.dtype.to_onnx();
        changes.fills.push(Fill { name: &tensor.name, data_type, shape, values });
    }
    changes
}

/// Weights with batch-normalisation statistics measured on images.
pub fn recalibrated(
    network: &Network,
    weights: Weights,
    images: &CalibrationImages,
) -> Result<Weights, PredictorError> {
    let mut prediction = Prediction::from_elsewhere(&network.architecture, weights);
    calibrate(&network.architecture, &network.registry, &mut prediction, images)?;
    Ok(prediction.weights)
}
