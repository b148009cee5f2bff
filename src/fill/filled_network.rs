//! A network with calibrated weights.

use std::borrow::Cow;

use rayon::prelude::*;

use crate::{
    graph::{Origin, ParameterId, Weights},
    onnx::{
        OnnxError,
        splice::{Changes, Fill},
    },
    predictor::{
        CalibrationImages, CalibrationSource, Prediction, Predictor, PredictorError, Sampling,
        Support, ValueSource, calibrate,
    },
};

use super::{
    Network,
    sanity::{SANITY_IMAGES, SanityCheck},
};

/// The weights of a network and how they came about.
#[derive(Debug)]
pub struct FilledNetwork<'a> {
    pub(super) network: &'a Network,
    pub(super) prediction: Prediction,
    /// Where statistics were measured, if they were.
    pub(super) calibration: CalibrationSource,
    /// What the user should know.
    pub(super) notices: Vec<String>,
    /// Whether it is alive.
    pub(super) sanity_check: SanityCheck,
}

impl<'a> FilledNetwork<'a> {
    /// Predicts, steers towards a support set if there is one, and calibrates, once for every sample.
    pub fn sample(
        network: &'a Network,
        predictor: &Predictor,
        images: &CalibrationImages,
        source: CalibrationSource,
        sampling: &Sampling,
        support: Option<&Support>,
    ) -> Result<Vec<Self>, PredictorError> {
        let architecture = &network.architecture;
        let mut samples = predictor.sample(
            architecture,
            &network.registry,
            |id| architecture.holds_value(id),
            sampling,
        )?;
        let mut kept = Vec::new();
        if let Some(support) = support {
            let stream = [sampling.seed, sampling.first as u64];
            kept =
                predictor.steer(architecture, &network.registry, &mut samples, support, stream)?;
        }
        let finish = |prediction| Self::of(network, prediction, images, source);
        let mut filled: Vec<Self> =
            samples.into_par_iter().map(finish).collect::<Result<_, PredictorError>>()?;
        let wanted = support.map_or(0, |support| support.steering.steps);
        for (filled, kept) in filled.iter_mut().zip(kept).filter(|(_, kept)| *kept < wanted) {
            let notice = format!(
                "{kept} of {wanted} support steps were kept; the others did harm and were taken back"
            );
            filled.notices.push(notice);
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
        let measured = prediction.labels.contains(&ValueSource::Calibrated);
        let calibration = if measured { source } else { CalibrationSource::None };
        let fitted = images.fitted(architecture, SANITY_IMAGES);
        let weights = all_weights(network, &prediction);
        let sanity_check = SanityCheck::of(
            network,
            &prediction,
            &weights,
            fitted.as_ref().map(|fitted| &fitted.images).map_err(String::as_str),
            unmeasured.as_deref(),
        );
        let not_run = sanity_check.not_run.as_ref().filter(|_| sanity_check.passed());
        let not_run = not_run
            .map(|why| format!("the filled network was not run to see that it is alive: {why}"));
        let notices = fitted.ok().and_then(|fitted| fitted.notice).into_iter().chain(not_run);
        let notices = notices.collect();
        Ok(Self { network, prediction, calibration, notices, sanity_check })
    }

    /// The weights; absent for parameters that keep what the file holds, and for those that have no
    /// value.
    pub fn weights(&self) -> &Weights {
        &self.prediction.weights
    }

    /// The tensors to splice into the file.
    pub fn fills(&self) -> Changes<'_> {
        fills(self.network, self.weights())
    }

    /// The values of a parameter: the new ones, or those that the file keeps; empty where there are
    /// none.
    pub(super) fn values(&self, index: usize) -> Result<Cow<'_, [f32]>, OnnxError> {
        let Network { architecture, model, .. } = self.network;
        let id = ParameterId(index);
        match self.prediction.weights.get(id) {
            None => {
                let kept = architecture.value_in(model, id)?;
                Ok(Cow::Owned(kept.map(|kept| kept.data).unwrap_or_default()))
            }
            Some(values) => Ok(Cow::Borrowed(values)),
        }
    }
}

/// The weights of a prediction, and those that the file keeps.
fn all_weights<'a>(network: &Network, prediction: &'a Prediction) -> Cow<'a, Weights> {
    let mut weights = Cow::Borrowed(&prediction.weights);
    for (index, label) in prediction.labels.iter().enumerate() {
        let id = ParameterId(index);
        // What cannot be read fails when the file is written.
        if *label == ValueSource::Kept
            && let Ok(Some(kept)) = network.architecture.value_in(&network.model, id)
        {
            weights.to_mut().set(id, kept.data);
        }
    }
    weights
}

/// Weights as what to splice into the file. Tensors that stay and whose data is in another
/// file come along, since the result may stand in another folder.
pub fn fills<'a>(network: &'a Network, weights: &'a Weights) -> Changes<'a> {
    let mut changes = Changes {
        list_as_inputs: network.model.ir_version() < 4,
        inline_external: true,
        ..Changes::default()
    };
    for (id, values) in weights.tensors() {
        let parameter = &network.architecture.parameters[id.0];
        let Some(shape) = parameter.shape.as_deref() else { continue };
        if !parameter.dtype.is_float() {
            continue;
        }
        if let Origin::Constant(position) | Origin::ConstantOfShape(position) = parameter.origin {
            changes.dropped_nodes.insert(position);
        }
        let data_type = parameter.dtype.to_onnx();
        changes.fills.push(Fill { name: &parameter.name, data_type, shape, values });
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
