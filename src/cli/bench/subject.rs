//! Where the judged weights come from: a predictor, or files that another program filled.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use burn::tensor::Device;

use crate::{
    evaluate::he_initialisation,
    graph::DimBindings,
    onnx::{Model, sha256, splice},
    ops::registry,
    predictor::{
        BUNDLED, CalibrationSource, InputConfig, Prediction, Predictor, Sampling, Seen, Support,
        bundled,
    },
    zoo::Retrieval,
};

use super::{
    super::{Failure, evaluate::stored_weights, filled::FilledNetwork, network::Network},
    held_out::HeldOut,
};

/// What `--predictor` begins with for a folder of filled networks.
const FILES: &str = "files:";

/// What `--predictor` begins with for the weights of the nearest graph of a zoo, and for the mean of its
/// nearest graphs plus noise.
const NEAREST: &str = "nearest:";
const MEAN: &str = "mean:";
/// What `--predictor` says for He initialisation.
const HE: &str = "he";
/// Graphs of such a mean, and its noise beside the root mean square of each tensor.
const MEAN_OF: (usize, f32) = (32, 0.1);

/// What is judged.
pub(super) struct Subject {
    /// The predictor, or the one whose images and space the foreign files share.
    reference: Predictor,
    source: Source,
    /// What it was trained on, as far as it says.
    pub(super) seen: Seen,
}

/// Where weights are taken from.
enum Source {
    /// Written by the reference.
    Predictor,
    /// A folder of files that another program wrote.
    Files(PathBuf),
    /// He initialisation.
    He,
    /// A zoo, and what that is called in tables.
    Zoo(String, Box<Retrieval>),
}

/// A network with weights, as it would be exported.
pub(super) struct Candidate {
    pub(super) network: Network,
    pub(super) weights: Vec<Vec<f32>>,
}

/// What came of one graph.
pub(super) struct Attempt {
    /// The network, or why there is none that could be judged.
    pub(super) candidate: Result<Candidate, String>,
    /// Seconds that writing the weights took, where they were written here.
    pub(super) seconds: Option<f64>,
}

impl Subject {
    /// `name` is a predictor's name or folder, or `files:DIR`; `like` names the predictor whose
    /// images foreign files read.
    pub(super) fn open(name: &str, like: Option<&str>) -> Result<Self, Failure> {
        let device = Device::flex();
        if let Some(folder) = name.strip_prefix(FILES) {
            let folder = PathBuf::from(folder);
            if !folder.is_dir() {
                return Err(format!("{}: no such folder", folder.display()).into());
            }
            let reference = bundled(like.unwrap_or(BUNDLED[0]), &device)?;
            let seen = Seen::load(&folder)?;
            return Ok(Self { reference, source: Source::Files(folder), seen });
        }
        let retrieved = match (name.strip_prefix(NEAREST), name.strip_prefix(MEAN)) {
            (Some(zoo), _) => Some(Retrieval::open(Path::new(zoo), 1, 0.0)?),
            (_, Some(zoo)) => Some(Retrieval::open(Path::new(zoo), MEAN_OF.0, MEAN_OF.1)?),
            _ => None,
        };
        let (own, source) = match retrieved {
            Some(zoo) => (like.unwrap_or(BUNDLED[0]), Source::Zoo(name.to_owned(), Box::new(zoo))),
            None if name == HE => (like.unwrap_or(BUNDLED[0]), Source::He),
            None => (name, Source::Predictor),
        };
        let reference = bundled(own, &device)?;
        Ok(Self { seen: reference.seen.clone(), reference, source })
    }

    /// Its predictor; for foreign files the one that they are like.
    pub(super) fn reference(&self) -> &Predictor {
        &self.reference
    }

    /// Whether the weights come from another program.
    pub(super) fn is_foreign(&self) -> bool {
        matches!(self.source, Source::Files(_))
    }

    /// The images that its networks read.
    pub(super) fn input(&self) -> &InputConfig {
        &self.reference.config.input
    }

    /// Name for tables.
    pub(super) fn name(&self) -> String {
        match &self.source {
            Source::Predictor => self.reference.config.name.clone(),
            Source::Files(folder) => format!("{FILES}{}", folder.display()),
            Source::He => HE.to_owned(),
            Source::Zoo(name, _) => name.clone(),
        }
    }

    /// SHA-256 of the predictor's files; of foreign files, that of the hashes of all files that
    /// graphs were read from.
    pub(super) fn hash(&self, graphs: &[String]) -> String {
        let Source::Files(folder) = &self.source else { return self.reference.hash.clone() };
        let hashes: Vec<String> = graphs
            .iter()
            .filter_map(|name| std::fs::read(file_of(folder, name)).ok())
            .map(|bytes| sha256(&bytes))
            .collect();
        sha256(hashes.concat().as_bytes())
    }

    /// Weights for a graph.
    pub(super) fn attempt(&self, graph: &HeldOut) -> Result<Attempt, Failure> {
        match &self.source {
            Source::Files(folder) => Ok(Attempt::read(&file_of(folder, &graph.name), graph)),
            _ => self.fill(&graph.name, graph.onnx.clone()),
        }
    }

    /// Further weights for the same graph, up to `count`: further samples of a predictor that denoises,
    /// none of one that writes the same weights every time; of another program the files
    /// `<graph>.1.onnx`, `<graph>.2.onnx`, … as far as there are any.
    pub(super) fn further(&self, graph: &HeldOut, count: usize) -> Result<Vec<Attempt>, Failure> {
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
                self.sample(&graph.name, graph.onnx.clone(), &sampling, None)
            }
        }
    }

    /// Whether there are several samples of a graph.
    pub(super) fn varies(&self) -> bool {
        matches!(self.source, Source::Predictor)
            && self.reference.config.network.diffusion.is_some()
    }

    /// Fills a network as `predict` does and reads the bytes that it would write.
    pub(super) fn fill(&self, name: &str, onnx: bytes::Bytes) -> Result<Attempt, Failure> {
        Ok(self.sample(name, onnx, &self.reference.sampling(), None)?.swap_remove(0))
    }

    /// As [`Subject::fill`] for several samples of a network; each takes its part of the seconds.
    pub(super) fn sample(
        &self,
        name: &str,
        onnx: bytes::Bytes,
        sampling: &Sampling,
        support: Option<&Support>,
    ) -> Result<Vec<Attempt>, Failure> {
        let started = Instant::now();
        let network = Network::of(Model::from_bytes(name, onnx)?, DimBindings::default())?;
        let images = self.reference.calibration_images();
        let source = CalibrationSource::Learned;
        let predictor = &self.reference;
        let architecture = &network.architecture;
        let other = match &self.source {
            Source::Zoo(_, retrieval) => Some(retrieval.fill(architecture, sampling.seed)?),
            Source::He => {
                let weights = he_initialisation(architecture, sampling.seed);
                Some(Prediction::from_elsewhere(architecture, weights))
            }
            Source::Predictor | Source::Files(_) => None,
        };
        let filled = match other {
            None => FilledNetwork::sample(&network, predictor, &images, source, sampling, support)?,
            Some(mut start) => {
                if let Some(support) = support {
                    let start = std::slice::from_mut(&mut start);
                    predictor.steer(
                        architecture,
                        registry(),
                        start,
                        support,
                        [sampling.seed, 0],
                    )?;
                }
                vec![FilledNetwork::of(&network, start, &images, source)?]
            }
        };
        let write = |filled: &FilledNetwork| -> Result<Vec<u8>, Failure> {
            let mut bytes = Vec::new();
            splice::write(&network.model, &filled.fills(&network), &mut bytes)?;
            Ok(bytes)
        };
        let written = filled.iter().map(write).collect::<Result<Vec<_>, Failure>>()?;
        let seconds = started.elapsed().as_secs_f64() / sampling.samples as f64;
        let read = |bytes: Vec<u8>| -> Result<Attempt, Failure> {
            let model = Model::from_bytes(name, bytes.into())?;
            let exported = Network::of(model, DimBindings::default())?;
            let candidate = Candidate::new(exported).map_err(|error| error.to_string());
            Ok(Attempt { candidate, seconds: Some(seconds) })
        };
        written.into_iter().map(read).collect()
    }
}

impl Attempt {
    fn read(path: &Path, graph: &HeldOut) -> Self {
        let candidate = Candidate::read(path, graph).map_err(|error| error.to_string());
        Self { candidate, seconds: None }
    }
}

impl Candidate {
    /// Reads the network of a graph from another program's file; it may rename and fold, but not
    /// enlarge it.
    pub(super) fn read(path: &Path, graph: &HeldOut) -> Result<Self, Failure> {
        let network = Network::of(Model::open(path)?, DimBindings::default())?;
        if let Some(why) = network.unsupported().first() {
            return Err(why.clone().into());
        }
        let parameters = network.architecture.parameter_count() as u64;
        if parameters > graph.parameters {
            return Err(format!(
                "{}: has {parameters} parameters, {} has {}",
                path.display(),
                graph.name,
                graph.parameters
            )
            .into());
        }
        Self::new(network)
    }

    fn new(network: Network) -> Result<Self, Failure> {
        let weights = stored_weights(&network)?;
        Ok(Self { network, weights })
    }
}

/// Where a folder of networks has that of a graph.
pub(super) fn file_of(folder: &Path, graph: &str) -> PathBuf {
    folder.join(format!("{graph}.onnx"))
}
