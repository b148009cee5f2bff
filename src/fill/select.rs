//! What is kept of several samples of one network.

use std::path::{Path, PathBuf};

use crate::{
    data::{Dataset, Split},
    evaluate::{EvaluateError, consensus, judge, logits},
    execute::{NormStatistics, Runner, Scratch},
    graph::Weights,
    predictor::{CalibrationImages, InputConfig, Predictor},
};

use super::{FillError, FilledNetwork, Network, NetworkImages};

/// Labelled images that samples are chosen by.
const VALIDATION_IMAGES: usize = 500;
/// Images that samples are to agree on.
const UNLABELLED_IMAGES: usize = 1000;

/// What is kept of the samples that were drawn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Selection {
    /// All of them.
    #[default]
    All,
    /// The one that agrees most with the others, without labels: on validation images of the data set
    /// that weights were moved towards or statistics were measured on, where there is one, and on the
    /// images that the predictor learned otherwise.
    Agreement,
    /// The one that gets most of the validation images of a data set right.
    MostAccurate(PathBuf),
}

impl Selection {
    /// How many networks are left of so many samples.
    pub fn keeps(&self, samples: usize) -> usize {
        match self {
            Self::All => samples,
            _ => 1,
        }
    }

    /// What is kept, each with the number of its sample. `data` is the data set whose images samples are
    /// to agree on.
    pub(super) fn choose<'a>(
        &self,
        mut samples: Vec<FilledNetwork<'a>>,
        predictor: &Predictor,
        images: &CalibrationImages,
        data: Option<&Path>,
    ) -> Result<Vec<(usize, FilledNetwork<'a>)>, FillError> {
        let Some(first) = samples.first() else { return Err(FillError::NothingDrawn) };
        let network = first.network;
        let held_out =
            |path| Ok::<_, FillError>(NetworkImages::open(path, Split::Val, network)?.data);
        let best = match self {
            Self::All => return Ok(samples.into_iter().enumerate().collect()),
            Self::Agreement => {
                let data = data.map(held_out).transpose()?;
                let unlabelled = match &data {
                    Some(data) => Unlabelled::Data(data, &predictor.config.input),
                    None => Unlabelled::Learned(images),
                };
                agreeing(network, &weights_of(&samples), &unlabelled)?
            }
            Self::MostAccurate(data) => {
                most_accurate(&samples, &held_out(data)?, &predictor.config.input)?
            }
        };
        Ok(vec![(best, samples.swap_remove(best))])
    }
}

/// The sample that gets most of the first images of a data set right; the first wins a tie.
fn most_accurate(
    samples: &[FilledNetwork],
    data: &Dataset,
    input: &InputConfig,
) -> Result<usize, FillError> {
    let mut best = (0, -1.0);
    for (index, sample) in samples.iter().enumerate() {
        let Network { architecture, registry, .. } = sample.network;
        let scores =
            judge(architecture, registry, sample.weights(), data, input, VALIDATION_IMAGES)?;
        if scores.top1 > best.1 {
            best = (index, scores.top1);
        }
    }
    Ok(best.0)
}

fn weights_of<'a>(samples: &'a [FilledNetwork]) -> Vec<&'a Weights> {
    samples.iter().map(FilledNetwork::weights).collect()
}

/// Images whose labels nobody looks at.
#[derive(Clone, Copy, Debug)]
pub enum Unlabelled<'a> {
    /// Those that the predictor learned.
    Learned(&'a CalibrationImages),
    /// The first of a data set, made ready as a predictor wants them.
    Data(&'a Dataset, &'a InputConfig),
}

/// Which of several networks of one architecture agrees most with the others on images; see
/// [`consensus`].
pub fn agreeing(
    network: &Network,
    networks: &[&Weights],
    images: &Unlabelled,
) -> Result<usize, FillError> {
    let Network { architecture, registry, .. } = network;
    let refuse = |problem| EvaluateError::Mismatch(format!("{}: {problem}", network.model.name()));
    let (logits, count): (Vec<Vec<f32>>, usize) = match images {
        Unlabelled::Learned(images) => {
            let images = images.fitted(architecture, images.shape[0]).map_err(refuse)?.images;
            let runner = Runner::of_batch(architecture, images.shape, registry).map_err(refuse)?;
            let view = images.view();
            let of = |weights: &&Weights| {
                runner.logits(weights, view, &NormStatistics::Running, &mut Scratch::default())
            };
            (networks.iter().map(of).collect::<Result<_, _>>()?, images.shape[0])
        }
        Unlabelled::Data(data, input) => {
            let of = |weights: &&Weights| {
                Ok(logits(architecture, registry, weights, data, input, UNLABELLED_IMAGES)?.0)
            };
            let logits = networks.iter().map(of).collect::<Result<_, FillError>>()?;
            (logits, data.len().min(UNLABELLED_IMAGES))
        }
    };
    let members: Vec<&[f32]> = logits.iter().map(Vec::as_slice).collect();
    let classes = members.first().map_or(0, |logits| logits.len() / count.max(1));
    consensus(&members, classes).ok_or(FillError::NoFiniteLogits)
}
