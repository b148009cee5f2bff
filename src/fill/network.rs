//! A network file, read and resolved.

use std::{collections::HashMap, fmt, path::Path, sync::Arc};

use bytes::Bytes;

use crate::{
    graph::{Architecture, DimBindings, NodeIndex, ParameterId, Weights},
    onnx::{Model, sha256},
    ops::{Registry, Resolution, resolve},
};

use super::{
    FillError, naming,
    naming::Part,
    torch::{is_transposed, torch_shape},
};

/// A file that was read and resolved.
pub struct Network {
    /// The file, or what it became for other classes.
    pub model: Model,
    /// The bytes of the file, where the model is not what it holds.
    pub(super) file: Option<Bytes>,
    /// Its graph.
    pub architecture: Architecture,
    /// What is not supported.
    pub resolution: Resolution,
    /// State-dict name of every parameter.
    pub names: Vec<String>,
    /// Those of the tensors that a state dict holds in place of parameters.
    pub(super) names_of_tensors: HashMap<Part, String>,
    /// The operators that it was resolved with.
    pub registry: Arc<Registry>,
}

/// How a network is read.
#[derive(Clone)]
pub struct OpenOptions {
    /// Sizes of symbolic dimensions; those not given are 1.
    pub dims: DimBindings,
    /// Tensors that keep their values, by their names in the file or in PyTorch's state dict.
    pub keep: Vec<String>,
    /// Whether tensors that the file stores twice with equal values are one parameter. Which ones are depends on values:
    /// networks that are compared are read without.
    pub tie: bool,
    /// The operators that are known.
    pub registry: Arc<Registry>,
}

impl Default for OpenOptions {
    /// Every symbolic dimension is 1, operators are those of this crate.
    fn default() -> Self {
        Self {
            dims: DimBindings::default(),
            keep: Vec::new(),
            tie: true,
            registry: Registry::standard(),
        }
    }
}

impl fmt::Debug for OpenOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenOptions")
            .field("dims", &self.dims)
            .field("keep", &self.keep)
            .field("tie", &self.tie)
            .finish_non_exhaustive()
    }
}

impl Network {
    /// Reads a file. Symbolic dimensions are 1.
    ///
    /// ```
    /// use weightsmith::fill::Network;
    ///
    /// let file = concat!(env!("CARGO_MANIFEST_DIR"), "/architectures/named/plain-cnn.onnx");
    /// let network = Network::open(file)?;
    /// assert!(network.unsupported().is_empty());
    /// assert!(network.names.iter().all(|name| !name.is_empty()));
    /// # Ok::<(), weightsmith::fill::FillError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The file cannot be read, is no ONNX model, or its graph is malformed. Operators that are merely
    /// not supported are no error; see [`Network::unsupported`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FillError> {
        Self::open_with(path, &OpenOptions::default())
    }

    /// As [`Network::open`], with sizes of symbolic dimensions and operators of the caller's.
    pub fn open_with(path: impl AsRef<Path>, options: &OpenOptions) -> Result<Self, FillError> {
        Self::resolved(Model::open(path.as_ref())?, options)
    }

    /// Resolves the graph of a model.
    pub fn of(model: Model, dims: DimBindings) -> Result<Self, FillError> {
        Self::resolved(model, &OpenOptions { dims, ..OpenOptions::default() })
    }

    /// As [`Network::of`], with operators of the caller's.
    pub fn resolved(model: Model, options: &OpenOptions) -> Result<Self, FillError> {
        let registry = Arc::clone(&options.registry);
        let mut architecture = Architecture::from_model_with(&model, options.dims.clone())?;
        if !options.tie {
            architecture.twins.clear();
        }
        let resolution =
            resolve(&mut architecture, &registry).map_err(|problem| FillError::Resolve {
                file: model.name().to_owned(),
                problem,
                open: architecture.open_dims.clone(),
            })?;
        let naming::Names { parameters: names, parts: names_of_tensors, notice } =
            naming::names(&model, &architecture);
        architecture.notices.extend(notice);
        let mut network =
            Self { model, file: None, architecture, resolution, names, names_of_tensors, registry };
        network.keep(&options.keep)?;
        network.keep(&network.baked_tensors())?;
        Ok(network)
    }

    /// SHA-256 of the file that it was read from, in hexadecimal.
    pub fn sha256(&self) -> String {
        sha256(self.file.as_ref().unwrap_or(self.model.bytes()))
    }

    /// Channels, height and width of the images that the network reads.
    ///
    /// # Errors
    ///
    /// It does not read images, or the file leaves their size open and they were taken for single pixels.
    pub fn image_shape(&self) -> Result<[usize; 3], FillError> {
        let file = || self.model.name().to_owned();
        let shape = self
            .architecture
            .image_shape()
            .map_err(|problem| FillError::NoImages { file: file(), problem })?;
        let open = &self.architecture.open_dims;
        match shape {
            [_, 1, _] | [_, _, 1] if open.iter().any(|dim| dim.axis > 1) => {
                Err(FillError::OpenSize { file: file(), shape, open: open.clone() })
            }
            _ => Ok(shape),
        }
    }

    /// Classes that the outputs of the network are scores of.
    ///
    /// # Errors
    ///
    /// It is no classifier.
    pub fn class_count(&self) -> Result<usize, FillError> {
        let counted = self.architecture.class_count();
        let file = || self.model.name().to_owned();
        counted.map_err(|problem| FillError::NoClasses { file: file(), problem })
    }

    /// Whether PyTorch stores a parameter transposed: matrices that the graph keeps `[in, out]`.
    pub fn transposed(&self, parameter: usize) -> bool {
        is_transposed(&self.architecture.parameters[parameter])
    }

    /// Extents that PyTorch gives a parameter; `None` where they are not known. What an exporter
    /// reshaped to broadcast over an image, it named anew.
    pub fn torch_shape(&self, index: usize) -> Option<Vec<usize>> {
        torch_shape(&self.architecture.parameters[index], &self.names[index])
    }

    /// What is not supported, a sentence for each kind of problem with its first node.
    pub fn unsupported(&self) -> Vec<String> {
        let mut kinds: Vec<(&str, NodeIndex, usize)> = Vec::new();
        for unsupported in &self.resolution.unsupported {
            match kinds.iter_mut().find(|(why, ..)| *why == unsupported.why) {
                Some((_, _, count)) => *count += 1,
                None => kinds.push((&unsupported.why, unsupported.node, 1)),
            }
        }
        let sentence = |(why, node, count): (&str, NodeIndex, usize)| {
            let others = match count {
                1 => String::new(),
                count => format!(" and {} more", count - 1),
            };
            format!("{why} ({}{others})", self.architecture.describe(node))
        };
        kinds.into_iter().map(sentence).collect()
    }

    /// The weights that the file holds.
    ///
    /// # Errors
    ///
    /// A parameter has no value, or one that cannot be read.
    pub fn stored_weights(&self) -> Result<Weights, FillError> {
        let stored = |(index, name): (usize, &String)| {
            let value = self.architecture.value_in(&self.model, ParameterId(index))?;
            let value = value.ok_or_else(|| FillError::NoValue {
                file: self.model.name().to_owned(),
                parameter: name.clone(),
            })?;
            Ok(value.data)
        };
        let names = self.architecture.parameters.iter().map(|parameter| &parameter.name);
        names.enumerate().map(stored).collect()
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("model", &self.model.name())
            .field("parameters", &self.names)
            .field("resolution", &self.resolution)
            .finish_non_exhaustive()
    }
}
