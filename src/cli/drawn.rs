//! How many samples `predict` draws, how, and what it keeps of them.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::{
    fill::{SamplingOptions, Selection},
    predictor::Solver,
};

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
    solver: SolverChoice,
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
    #[arg(long, value_name = "DATA", num_args = 0..=1, conflicts_with = "ensemble")]
    select: Option<Option<PathBuf>>,
    /// Write <stem>.ensemble.onnx, too, whose logits are the means of the samples'
    #[arg(long)]
    pub(super) ensemble: bool,
}

/// A [`Solver`] by its name.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum SolverChoice {
    /// First order, deterministic (Song et al. 2021, *DDIM*); along straight lines, Euler's method.
    #[default]
    Ddim,
    /// Second order, from the last two estimates (Lu et al. 2022, *DPM-Solver++(2M)*).
    DpmPlusPlus,
}

impl From<SolverChoice> for Solver {
    fn from(choice: SolverChoice) -> Self {
        match choice {
            SolverChoice::Ddim => Self::Ddim,
            SolverChoice::DpmPlusPlus => Self::DpmPlusPlus,
        }
    }
}

impl DrawingArgs {
    /// What is drawn from a predictor.
    pub(super) fn sampling(&self) -> SamplingOptions {
        SamplingOptions {
            samples: Some(self.samples.into()),
            steps: self.steps.map(usize::from),
            solver: Some(self.solver.into()),
            quality: self.quality,
            guidance: Some(self.guidance),
            temperature: Some(self.temperature),
        }
    }

    /// What is kept of it.
    pub(super) fn selection(&self) -> Selection {
        match &self.select {
            None => Selection::All,
            Some(None) => Selection::Agreement,
            Some(Some(data)) => Selection::MostAccurate(data.clone()),
        }
    }
}
