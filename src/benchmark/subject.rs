//! Where the evaluated weights come from: a predictor, a baseline, or files that another program filled.

use std::{
    error::Error,
    path::{Path, PathBuf},
    time::Instant,
};

use burn::tensor::Device;
use bytes::Bytes;

use crate::{
    condition::{Fitting, Steering, Support},
    data::{Dataset, Split},
    evaluate::calibration_images,
    fill::{FilledNetwork, Network},
    graph::Architecture,
    onnx::{sha256, splice},
    predictor::{
        BUNDLED, CalibrationSource, InputConfig, Prediction, Predictor, Sampling, Seen, bundled,
    },
    weights::he_initialisation,
};

use super::{
    Attempt, BenchmarkError, Candidate, HE, HeldOut, SubjectRecord, candidate::file_of,
    held_out::read,
};

/// What the name of a folder of filled networks begins with.
const FILES: &str = "files:";

/// Weights that no predictor writes, to compare predictions with.
pub trait Baseline: Send + Sync {
    /// Its name in tables.
    fn name(&self) -> String;
    /// What its weights are, for records.
    fn weights(&self) -> String;
    /// Weights for a resolved architecture; batch-normalisation statistics are measured afterwards.
    fn fill(
        &self,
        architecture: &Architecture,
        seed: u64,
    ) -> Result<Prediction, Box<dyn Error + Send + Sync>>;
}

/// The baseline of random weights: see [`he_initialisation`].
#[derive(Clone, Copy, Debug)]
pub struct HeInitialisation;

impl Baseline for HeInitialisation {
    fn name(&self) -> String {
        HE.to_owned()
    }

    fn weights(&self) -> String {
        "He initialisation".to_owned()
    }

    fn fill(
        &self,
        architecture: &Architecture,
        seed: u64,
    ) -> Result<Prediction, Box<dyn Error + Send + Sync>> {
        let weights = he_initialisation(architecture, seed);
        Ok(Prediction::from_elsewhere(architecture, weights))
    }
}

/// What is evaluated.
pub struct Subject {
    /// The predictor, or the one whose images and space the other networks share.
    reference: Predictor,
    source: Source,
    /// Labelled images that what it writes is moved towards, if any.
    support: Option<(Dataset, Steering)>,
    /// What it was trained on, as far as it says.
    seen: Seen,
}

/// Where weights are taken from.
enum Source {
    /// Written by the reference.
    Predictor,
    /// A folder of files that another program wrote.
    Files(PathBuf),
    /// Written without a predictor.
    Baseline(Box<dyn Baseline>),
}

impl Subject {
    /// `name` is a predictor's name or folder, `files:DIR` for networks that another program filled, or
    /// `he` for random weights; `like` names the predictor whose images the last two read, by default
    /// the first bundled one.
    pub fn open(name: &str, like: Option<&str>) -> Result<Self, BenchmarkError> {
        let device = Device::flex();
        let like = || bundled(like.unwrap_or(BUNDLED[0]), &device);
        match name.strip_prefix(FILES) {
            Some(folder) => Self::files(folder.into(), like()?),
            None if name == HE => Ok(Self::baseline(Box::new(HeInitialisation), like()?)),
            None => Ok(Self::predictor(bundled(name, &device)?)),
        }
    }

    /// A predictor.
    pub fn predictor(predictor: Predictor) -> Self {
        let seen = predictor.seen.clone();
        Self { reference: predictor, source: Source::Predictor, support: None, seen }
    }

    /// A folder of networks that another program filled, each named after its graph, for the images of
    /// a predictor.
    pub fn files(folder: PathBuf, like: Predictor) -> Result<Self, BenchmarkError> {
        if !folder.is_dir() {
            let problem = "no such folder".to_owned();
            return Err(BenchmarkError::File { path: folder, problem });
        }
        let seen = Seen::load(&folder)?;
        Ok(Self { reference: like, source: Source::Files(folder), support: None, seen })
    }

    /// A baseline, for the images of a predictor.
    pub fn baseline(baseline: Box<dyn Baseline>, like: Predictor) -> Self {
        Self { source: Source::Baseline(baseline), ..Self::predictor(like) }
    }

    /// Moves what it writes towards the training images of a data set.
    pub fn steered(self, data: &Path, steering: Steering) -> Result<Self, BenchmarkError> {
        if self.is_foreign() {
            let problem = "networks of another program are evaluated as they are";
            return Err(BenchmarkError::Mismatch(problem.to_owned()));
        }
        let channels = self.input().channels();
        let data = Dataset::open(data, Split::Train).and_then(|data| data.with_channels(channels));
        let data = data.map_err(BenchmarkError::network)?;
        Ok(Self { support: Some((data, steering)), ..self })
    }

    /// What its weights are, for records.
    pub fn weights(&self) -> String {
        match (&self.source, &self.support) {
            (Source::Files(_), _) => "read from files of another program".to_owned(),
            (Source::Baseline(baseline), None) => baseline.weights(),
            (Source::Predictor, None) => "generated by a predictor, not trained".to_owned(),
            (_, Some((_, steering))) => format!(
                "generated by a predictor, then moved by {} gradient steps of {} images",
                steering.steps, steering.batch
            ),
        }
    }

    /// Gradient steps that every network it writes has taken.
    pub fn gradient_steps(&self) -> usize {
        self.support.as_ref().map_or(0, |(_, steering)| steering.steps)
    }

    /// Its predictor; for other networks the one that they are like.
    pub fn reference(&self) -> &Predictor {
        &self.reference
    }

    /// What it was trained on, as far as it says.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Whether the weights come from another program.
    pub fn is_foreign(&self) -> bool {
        matches!(self.source, Source::Files(_))
    }

    /// The images that its networks read.
    pub fn input(&self) -> &InputConfig {
        &self.reference.config.input
    }

    /// Its name in tables.
    pub fn name(&self) -> String {
        match &self.source {
            Source::Predictor => self.reference.config.name.clone(),
            Source::Files(folder) => format!("{FILES}{}", folder.display()),
            Source::Baseline(baseline) => baseline.name(),
        }
    }

    /// SHA-256 of the predictor's files; of foreign files, that of the hashes of all files that
    /// graphs were read from.
    pub fn hash(&self, graphs: &[String]) -> String {
        let Source::Files(folder) = &self.source else { return self.reference.hash.clone() };
        let hashes: Vec<String> = graphs
            .iter()
            .filter_map(|name| std::fs::read(file_of(folder, name)).ok())
            .map(|bytes| sha256(&bytes))
            .collect();
        sha256(hashes.concat().as_bytes())
    }

    /// What it is, for results; `graphs` are the names of those that it is evaluated on.
    pub fn record(&self, graphs: &[String]) -> SubjectRecord {
        SubjectRecord {
            name: self.name(),
            hash: self.hash(graphs),
            foreign: self.is_foreign(),
            weights: self.weights(),
        }
    }

    /// Weights for a graph.
    pub fn attempt(&self, graph: &HeldOut) -> Result<Attempt, BenchmarkError> {
        match &self.source {
            Source::Files(folder) => Ok(Attempt::read(&file_of(folder, &graph.name), graph)),
            _ => self.fill(&graph.name, graph.onnx.clone()),
        }
    }

    /// Further weights for the same graph, up to `count`: further samples of a predictor that denoises,
    /// none of one that writes the same weights every time; of another program the files
    /// `<graph>.1.onnx`, `<graph>.2.onnx`, … as far as there are any.
    pub fn further(&self, graph: &HeldOut, count: usize) -> Result<Vec<Attempt>, BenchmarkError> {
        match &self.source {
            Source::Files(folder) => Ok((1..=count)
                .map(|sample| file_of(folder, &format!("{}.{sample}", graph.name)))
                .take_while(|path| path.exists())
                .map(|path| Attempt::read(&path, graph))
                .collect()),
            _ if !self.varies() || count == 0 => Ok(Vec::new()),
            _ => {
                let usual = self.reference.sampling();
                let sampling = Sampling { samples: count, first: 1, ..usual };
                self.sample(&graph.name, graph.onnx.clone(), &sampling)
            }
        }
    }

    /// Whether there are several samples of a graph.
    pub fn varies(&self) -> bool {
        matches!(self.source, Source::Predictor)
            && self.reference.config.network.diffusion.is_some()
    }

    /// Fills a network as `predict` does and reads the bytes that it would write.
    pub fn fill(&self, name: &str, onnx: Bytes) -> Result<Attempt, BenchmarkError> {
        Ok(self.sample(name, onnx, &self.reference.sampling())?.swap_remove(0))
    }

    /// As [`Subject::fill`] for several samples of a network; each takes its part of the seconds.
    fn sample(
        &self,
        name: &str,
        onnx: Bytes,
        sampling: &Sampling,
    ) -> Result<Vec<Attempt>, BenchmarkError> {
        let support = self.support.as_ref();
        let support = support.map(|(data, steering)| match self.source {
            Source::Predictor => Support::of(&self.reference, data, *steering),
            _ => Support::new(data, *steering),
        });
        self.sample_towards(name, onnx, sampling, support.as_ref())
    }

    /// Samples of a network, moved towards a support set of the caller's.
    pub fn sample_towards(
        &self,
        name: &str,
        onnx: Bytes,
        sampling: &Sampling,
        support: Option<&Support>,
    ) -> Result<Vec<Attempt>, BenchmarkError> {
        let started = Instant::now();
        let network = read(name, onnx)?;
        let filled = self.filled(&network, sampling, support)?;
        let written = filled
            .iter()
            .map(|filled| export(&network, filled))
            .collect::<Result<Vec<_>, BenchmarkError>>()?;
        let seconds = started.elapsed().as_secs_f64() / sampling.samples as f64;
        let reread = |bytes: Vec<u8>| {
            let exported = read(name, bytes.into())?;
            let candidate = Candidate::new(exported).map_err(|error| error.to_string());
            Ok(Attempt { candidate, seconds: Some(seconds) })
        };
        written.into_iter().map(reread).collect()
    }

    fn filled<'a>(
        &self,
        network: &'a Network,
        sampling: &Sampling,
        support: Option<&Support>,
    ) -> Result<Vec<FilledNetwork<'a>>, BenchmarkError> {
        let predictor = &self.reference;
        let Network { architecture, registry, .. } = network;
        let input = &predictor.config.input;
        let (images, source) = match support {
            Some(support) => {
                let images = calibration_images(architecture, support.data, input)?;
                (images, CalibrationSource::Support)
            }
            None => (predictor.calibration_images(), CalibrationSource::Learned),
        };
        let Source::Baseline(baseline) = &self.source else {
            let samples = FilledNetwork::sample(
                network, predictor, &images, source, sampling, support, None,
            )?;
            return Ok(samples);
        };
        let start = baseline.fill(architecture, sampling.seed);
        let mut start = [start.map_err(BenchmarkError::Network)?];
        if let Some(support) = support {
            let fitting = Fitting { architecture, registry, input, images: &images };
            support.fit(&fitting, &mut start, [sampling.seed, 0])?;
        }
        let finish = |prediction| Ok(FilledNetwork::of(network, prediction, &images, source)?);
        start.into_iter().map(finish).collect()
    }
}

/// The bytes of the file that `predict` would write, without its metadata.
fn export(network: &Network, filled: &FilledNetwork) -> Result<Vec<u8>, BenchmarkError> {
    let mut bytes = Vec::new();
    splice::write(&network.model, &filled.fills(), &mut bytes).map_err(BenchmarkError::network)?;
    Ok(bytes)
}
