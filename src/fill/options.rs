//! How a network is filled.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    condition::Steering,
    data::Split,
    evaluate::calibration_images,
    observer::{Observer, Silent},
    predictor::{CalibrationImages, CalibrationSource, Predictor, Sampling, Solver, Watermark},
};

use super::{FillError, Network, NetworkImages, Selection};

/// How a network is filled. By default as the predictor usually does: one sample, or its only set of
/// weights, with statistics measured on the images that it learned.
#[derive(Clone, Debug)]
pub struct FillOptions {
    /// Seed of everything random.
    pub seed: u64,
    /// How weights are drawn.
    pub sampling: SamplingOptions,
    /// What is kept of the samples.
    pub selection: Selection,
    /// Whether all networks are written as one, too, whose outputs are the means of theirs.
    pub ensemble: bool,
    /// What the statistics of batch normalisations are measured on.
    pub calibration: Calibration,
    /// Labelled images that weights are fitted to, if any.
    pub support: Option<SupportSet>,
    /// Whether the network is to normalise its images itself: then it takes pixels from 0 to 1.
    pub bake_normalisation: bool,
    /// What marks the weights for whoever holds its key, if anything does.
    pub watermark: Option<Watermark>,
    /// What the report calls the device that the predictor computes on; `None` for what
    /// burn calls it, and `flex (CPU)` for the device that needs nothing but a processor.
    pub device: Option<String>,
    /// Watches the support steps of all samples.
    pub observer: Arc<dyn Observer>,
}

impl Default for FillOptions {
    /// As the predictor usually does, watched by nobody.
    fn default() -> Self {
        Self {
            seed: 0,
            sampling: SamplingOptions::default(),
            selection: Selection::default(),
            ensemble: false,
            calibration: Calibration::default(),
            support: None,
            bake_normalisation: false,
            watermark: None,
            device: None,
            observer: Arc::new(Silent),
        }
    }
}

/// How weights are drawn from a predictor that denoises; `None` for what it usually does. Any other
/// predictor writes one set of weights and takes nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SamplingOptions {
    /// Samples to draw, all in one batch.
    pub samples: Option<usize>,
    /// Denoising steps of a sample.
    pub steps: Option<usize>,
    /// How noise is taken off.
    pub solver: Option<Solver>,
    /// Quality to ask for, from 0 to 1 over the range of the zoo.
    pub quality: Option<f32>,
    /// How far to go beyond what was asked for, away from any quality.
    pub guidance: Option<f32>,
    /// Factor of what tells samples apart: 0 draws them alike.
    pub temperature: Option<f32>,
}

impl SamplingOptions {
    /// What a predictor is asked for.
    pub fn of(&self, predictor: &Predictor, seed: u64) -> Sampling {
        let usual = predictor.sampling();
        Sampling {
            samples: self.samples.unwrap_or(usual.samples),
            steps: self.steps.unwrap_or(usual.steps),
            solver: self.solver.unwrap_or(usual.solver),
            quality: self.quality.or(usual.quality),
            guidance: self.guidance.unwrap_or(usual.guidance),
            temperature: self.temperature.unwrap_or(usual.temperature),
            seed,
            first: 0,
        }
    }
}

/// What the statistics of batch normalisations are measured on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Calibration {
    /// The images that weights are fitted to, or else those that the predictor learned.
    #[default]
    Usual,
    /// Unlabelled images of a data set, by path.
    Data(PathBuf),
}

impl Calibration {
    /// The images, for a network that may be fitted to a support set.
    pub(super) fn images(
        &self,
        network: &Network,
        predictor: &Predictor,
        support: Option<&NetworkImages>,
    ) -> Result<MeasuredOn, FillError> {
        let first = |images: &NetworkImages| {
            calibration_images(&network.architecture, &images.data, &predictor.config.input)
        };
        Ok(match (self, support) {
            (Self::Usual, None) => MeasuredOn {
                images: predictor.calibration_images(),
                source: CalibrationSource::Learned,
                data: None,
            },
            (Self::Usual, Some(support)) => MeasuredOn {
                images: first(support)?,
                source: CalibrationSource::Support,
                data: None,
            },
            (Self::Data(path), _) => {
                let data = NetworkImages::open(path, Split::Train, network)?;
                MeasuredOn {
                    images: first(&data)?,
                    source: CalibrationSource::Data,
                    data: Some(data),
                }
            }
        })
    }
}

/// What statistics are measured on.
pub(super) struct MeasuredOn {
    /// The images.
    pub images: CalibrationImages,
    /// What a report says of them.
    pub source: CalibrationSource,
    /// The data set that they come from, if they do.
    pub data: Option<NetworkImages>,
}

/// Labelled images that weights are fitted to.
#[derive(Clone, Debug, PartialEq)]
pub struct SupportSet {
    /// The data set, by path; its training images are taken.
    pub data: PathBuf,
    /// Gradient steps.
    pub steering: Steering,
}

impl FillOptions {
    /// What the predictor is asked for.
    pub fn sampling(&self, predictor: &Predictor) -> Sampling {
        self.sampling.of(predictor, self.seed)
    }

    /// The data set whose images samples are to agree on, if there is one.
    pub(super) fn agreement_data(&self) -> Option<&Path> {
        match (&self.support, &self.calibration) {
            (Some(support), _) => Some(&support.data),
            (None, Calibration::Data(path)) => Some(path),
            (None, Calibration::Usual) => None,
        }
    }

    /// See [`FillOptions::device`].
    pub(super) fn device_name(&self, predictor: &Predictor) -> String {
        device_name(self.device.as_deref(), predictor)
    }
}

/// The name that was given, or else that of the predictor's device.
pub(super) fn device_name(given: Option<&str>, predictor: &Predictor) -> String {
    match given {
        Some(name) => name.to_owned(),
        None if predictor.device == burn::tensor::Device::flex() => "flex (CPU)".to_owned(),
        None => format!("{:?}", predictor.device),
    }
}
