//! Where the graphs of a run come from.

use std::{collections::HashSet, path::Path};

use crate::{
    corpus,
    onnx::Model,
    ops::Registry,
    spaces::{Space, SpaceError, Split},
};

use super::{GraphFolder, TrainError};

/// Where the graphs of a run come from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum GraphSource {
    /// They are drawn from a search space.
    Space(Box<Space>),
    /// They are files.
    Folder(GraphFolder),
}

impl GraphSource {
    /// The search space of that name or file, or the folder.
    pub fn open(name: &str, registry: &Registry) -> Result<Self, TrainError> {
        match Space::load(name) {
            Ok(space) => Ok(Self::Space(Box::new(space))),
            Err(SpaceError::Missing { .. }) if Path::new(name).is_dir() => {
                GraphFolder::open(Path::new(name), registry).map(Self::Folder)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Channels of the images.
    pub fn channels(&self) -> usize {
        match self {
            Self::Space(space) => space.input[0],
            Self::Folder(folder) => folder.channels(),
        }
    }

    /// The same graphs for square images of so many pixels a side: those of a space are drawn for them,
    /// files stay as they are.
    pub fn with_size(self, size: usize) -> Self {
        match self {
            Self::Space(space) => {
                let input = [space.input[0], size, size];
                Self::Space(Box::new(Space { input, ..*space }))
            }
            folder => folder,
        }
    }

    /// The same graphs for images of so many channels.
    ///
    /// # Errors
    ///
    /// They are files, which read what they read.
    pub fn with_channels(&self, channels: usize) -> Result<Self, TrainError> {
        match self {
            Self::Space(space) => {
                let [_, height, width] = space.input;
                let input = [channels, height, width];
                Ok(Self::Space(Box::new(Space { input, ..(**space).clone() })))
            }
            Self::Folder(folder) if folder.channels() == channels => Ok(self.clone()),
            Self::Folder(folder) => Err(TrainError::Mismatch(format!(
                "the graphs of the folder read {} channel(s): episodes of {channels} need a search space",
                folder.channels()
            ))),
        }
    }

    /// Whether a data set of so many classes fits; otherwise a sentence that names its file.
    pub fn check_classes(&self, classes: usize, data: &Path) -> Result<(), String> {
        match self {
            Self::Space(space) => space.check_classes(classes, data),
            Self::Folder(folder) if folder.classes() == classes => Ok(()),
            Self::Folder(folder) => Err(format!(
                "{} has {} outputs, {} has {classes} classes",
                folder.training()[0].display(),
                folder.classes(),
                data.display()
            )),
        }
    }

    /// How many graphs there are for a run that asks for `wanted`; seeds are below that.
    pub fn count(&self, wanted: usize) -> usize {
        match self {
            Self::Space(_) => wanted,
            Self::Folder(folder) => wanted.min(folder.training().len()),
        }
    }

    /// The training graph of a seed.
    pub fn graph(&self, seed: u64) -> Result<Model, TrainError> {
        match self {
            Self::Space(space) => sampled(space, seed),
            Self::Folder(folder) => {
                let files = folder.training();
                Ok(Model::open(&files[(seed % files.len() as u64) as usize])?)
            }
        }
    }

    /// The first graphs that runs are validated on, at most `count`.
    pub fn validation(&self, count: u64) -> Result<Vec<Model>, TrainError> {
        match self {
            Self::Space(space) => {
                Split::Validation.seeds(count).map(|seed| sampled(space, seed)).collect()
            }
            Self::Folder(folder) => {
                let files = folder.validation().iter().take(count as usize);
                files.map(|file| Ok(Model::open(file)?)).collect()
            }
        }
    }

    /// Fingerprints of the graphs that must not be trained on.
    pub fn held_out(&self, registry: &Registry) -> Result<HashSet<u64>, TrainError> {
        match self {
            Self::Space(space) => Ok(corpus::held_out_with(space, registry)?),
            Self::Folder(folder) => Ok(folder.held_out().clone()),
        }
    }
}

fn sampled(space: &Space, seed: u64) -> Result<Model, TrainError> {
    let graph = space.sample(seed)?;
    Ok(Model::from_bytes(&graph.name, graph.onnx)?)
}
