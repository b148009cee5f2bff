//! How many samples `predict` draws, how, and what it keeps of them.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::fill::{FilledNetwork, Network, Unlabelled, validation_set};
use crate::predictor::{CalibrationImages, Predictor, Sampling, Solver};

use super::Failure;

/// For predictors that denoise; others write one set of weights.
#[derive(Debug, Args)]
pub struct DrawingArgs {
    /// Samples to draw, all in one batch
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    samples: u16,
    /// Denoising steps of a sample [default: what the predictor names]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    steps: Option<u16>,
    /// How noise is taken off
    #[arg(long, value_enum, default_value_t)]
    solver: Solver,
    /// Quality to ask for, from 0 to 1 over the range of the zoo [default: 1]
    #[arg(long, value_name = "Q")]
    quality: Option<f32>,
    /// How far to go beyond what was asked for, away from any quality
    #[arg(long, value_name = "W", default_value_t = 0.0)]
    guidance: f32,
    /// Factor of what tells samples apart: 0 draws them alike
    #[arg(long, value_name = "T", default_value_t = 1.0)]
    temperature: f32,
    /// Keep the best sample only: by agreement with the others, without labels, or by the accuracy on
    /// validation images where a data set is given. They agree on images of the data set of --support or
    /// --calibrate where there is one, on those that the predictor learned otherwise
    #[arg(long, value_name = "DATA", num_args = 0..=1, conflicts_with_all = ["average", "ensemble"])]
    select: Option<Option<PathBuf>>,
    /// Write the mean of the samples' weights instead of the samples
    #[arg(long, conflicts_with = "ensemble")]
    average: bool,
    /// Write <stem>.ensemble.onnx, too, whose logits are the means of the samples'
    #[arg(long)]
    pub(super) ensemble: bool,
}

impl DrawingArgs {
    /// What is drawn from a predictor.
    pub(super) fn sampling(&self, predictor: &Predictor, seed: u64) -> Sampling {
        let usual = predictor.sampling();
        Sampling {
            samples: self.samples.into(),
            steps: self.steps.map_or(usual.steps, usize::from),
            solver: self.solver,
            quality: self.quality.or(usual.quality),
            guidance: self.guidance,
            temperature: self.temperature,
            seed,
            first: 0,
        }
    }

    /// Networks that are written, the ensemble apart.
    pub(super) fn networks(&self) -> usize {
        if self.average || self.select.is_some() { 1 } else { self.samples.into() }
    }

    /// What is kept of the samples, each with its number; the mean has none.
    pub(super) fn choose(
        &self,
        network: &Network,
        mut samples: Vec<FilledNetwork>,
        predictor: &Predictor,
        images: &CalibrationImages,
        data: Option<&Path>,
    ) -> Result<Vec<(Option<usize>, FilledNetwork)>, Failure> {
        if self.average {
            return Ok(vec![(None, FilledNetwork::average(network, samples, images)?)]);
        }
        let Some(by) = &self.select else {
            return Ok(samples.into_iter().enumerate().map(|(n, it)| (Some(n), it)).collect());
        };
        let best = match by {
            None => {
                let data = data.map(|path| validation_set(path, predictor)).transpose()?;
                let unlabelled = match &data {
                    Some(data) => Unlabelled::Data(data, &predictor.config.input),
                    None => Unlabelled::Learned(images),
                };
                FilledNetwork::consensus(network, &samples, &unlabelled)?
            }
            Some(data) => FilledNetwork::most_accurate(network, &samples, predictor, data)?,
        };
        Ok(vec![(Some(best), samples.swap_remove(best))])
    }
}
