//! A folder of ONNX files to train on.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use crate::{
    corpus,
    graph::Architecture,
    onnx::{Model, folder},
    ops::{Registry, resolve},
    predictor::{ValueSource, expected},
};

use super::TrainError;

/// Subfolder of the graphs that are validated on.
const VALIDATION: &str = "validation";

/// The `.onnx` files of a folder, in the order of their names. They read images of the same number of
/// channels and tell the same number of classes apart; a predictor writes all of their parameters.
/// Files in the subfolder `validation` are validated on and never trained on; without it, the run is
/// validated on the graphs that it is trained on.
#[derive(Clone, Debug)]
pub struct GraphFolder {
    training: Vec<PathBuf>,
    validation: Vec<PathBuf>,
    held_out: HashSet<u64>,
    channels: usize,
    classes: usize,
}

impl GraphFolder {
    /// Reads all files once.
    ///
    /// # Errors
    ///
    /// There is no file, a file cannot be read, filled or run, files do not fit each other, or a
    /// training graph is held out: by the corpus, or because it is validated on.
    pub fn open(path: &Path, registry: &Registry) -> Result<Self, TrainError> {
        let training = folder::files(path)?;
        let own = path.join(VALIDATION);
        let validation = if own.is_dir() { folder::files(&own)? } else { Vec::new() };
        let mut held_out = corpus::held_out()?;
        let files = validation.iter().map(|file| (file, false));
        let files = files.chain(training.iter().map(|file| (file, true)));
        let mut first = None;
        for (file, is_trained_on) in files {
            let graph = GraphFile::read(file, registry)?;
            let (wanted, example) = *first.get_or_insert((graph.sizes, file));
            if graph.sizes != wanted {
                let ([channels, classes], example) = (graph.sizes, example.display());
                let problem = format!(
                    "reads {channels} channels and has {classes} outputs, {example} has {} and {}",
                    wanted[0], wanted[1]
                );
                return Err(TrainError::mismatch(file, &problem));
            }
            match is_trained_on {
                true if held_out.contains(&graph.fingerprint) => {
                    let problem = "is a graph that is held out; take it out of the training graphs";
                    return Err(TrainError::mismatch(file, problem));
                }
                true => {}
                false => drop(held_out.insert(graph.fingerprint)),
            }
        }
        match first {
            Some(([channels, classes], _)) if !training.is_empty() => {
                Ok(Self { training, validation, held_out, channels, classes })
            }
            _ => Err(TrainError::mismatch(path, "holds no .onnx file to train on")),
        }
    }

    /// Channels of the images.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Outputs of every graph.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The files to train on, at least one.
    pub fn training(&self) -> &[PathBuf] {
        &self.training
    }

    /// The files to validate on, at least one.
    pub fn validation(&self) -> &[PathBuf] {
        if self.validation.is_empty() { &self.training } else { &self.validation }
    }

    /// Fingerprints of the graphs that must not be trained on.
    pub fn held_out(&self) -> &HashSet<u64> {
        &self.held_out
    }
}

/// What a file must have in common with the others, and what it is known by.
struct GraphFile {
    /// Channels of the images and outputs.
    sizes: [usize; 2],
    fingerprint: u64,
}

impl GraphFile {
    fn read(file: &Path, registry: &Registry) -> Result<Self, TrainError> {
        let mut architecture = Architecture::from_model(&Model::open(file)?)?;
        let resolution = resolve(&mut architecture, registry)?;
        if let Some(unsupported) = resolution.unsupported.first() {
            let node = architecture.describe(unsupported.node);
            return Err(TrainError::mismatch(file, &format!("{} ({node})", unsupported.why)));
        }
        let labels = expected(&architecture, |_| false);
        for (parameter, label) in architecture.parameters.iter().zip(labels) {
            if let ValueSource::Skipped(why) = label {
                let name = &parameter.name;
                let problem = format!("parameter '{name}' cannot be predicted: {why}");
                return Err(TrainError::mismatch(file, &problem));
            }
        }
        let input = architecture.inputs.first().and_then(|input| input.shape.as_deref());
        let output = architecture.outputs.first();
        let output = output.and_then(|(_, operand)| architecture.fact(*operand)?.shape);
        match (input, output.as_deref()) {
            (Some(&[_, channels, _, _]), Some(&[_, classes])) => {
                Ok(Self { sizes: [channels, classes], fingerprint: architecture.fingerprint() })
            }
            _ => Err(TrainError::mismatch(
                file,
                "does not read images [N, C, H, W] and return [N, classes]",
            )),
        }
    }
}
