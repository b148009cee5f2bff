//! The values of one checkpoint as the bytes of a safetensors file.

use half::f16;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use crate::{
    graph::{Architecture, Parameter},
    onnx::{
        safetensors::{Entry, write},
        sha256,
    },
};

/// How weights are stored. Tensors of at most one axis (biases, norms, statistics) are few and
/// delicate, and always have single precision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// Half precision.
    #[default]
    F16,
    /// Single precision.
    F32,
}

impl Precision {
    fn of(self, shape: &[usize]) -> Self {
        if shape.len() > 1 { self } else { Self::F32 }
    }

    fn encode(self, values: &[f32]) -> (Dtype, Vec<u8>) {
        match self {
            Self::F16 => {
                let halves = values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes());
                (Dtype::F16, halves.collect())
            }
            Self::F32 => {
                (Dtype::F32, values.iter().flat_map(|value| value.to_le_bytes()).collect())
            }
        }
    }
}

/// A tensor file: the parameters of a network that have values, under the names and in the shapes
/// that its graph gives them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensors {
    bytes: Vec<u8>,
    sha256: String,
}

impl Tensors {
    /// Stores weights by parameter; empty ones are left out. The error says which tensor does not
    /// fit its graph.
    pub fn new(
        architecture: &Architecture,
        weights: &[Vec<f32>],
        precision: Precision,
    ) -> Result<Self, String> {
        let mut entries = Vec::new();
        for (parameter, values) in architecture.parameters.iter().zip(weights) {
            if values.is_empty() {
                continue;
            }
            let shape = shape(parameter)?;
            if parameter.len() != Some(values.len()) {
                let (name, count) = (&parameter.name, values.len());
                return Err(format!("tensor '{name}' of shape {shape:?} has {count} values"));
            }
            let (dtype, data) = precision.of(shape).encode(values);
            entries.push(Entry::new(parameter.name.clone(), dtype, shape.to_vec(), data));
        }
        let mut bytes = Vec::new();
        write(&mut bytes, &entries).map_err(|error| error.to_string())?;
        Ok(Self::from_bytes(bytes))
    }

    /// The contents of a file, whatever they are.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self { sha256: sha256(&bytes), bytes }
    }

    /// What the file holds.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 of the file, in lower-case hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The values by parameter; empty for those that are not stored. The error says which tensor
    /// is no parameter of the architecture, or has another shape.
    pub fn weights(&self, architecture: &Architecture) -> Result<Vec<Vec<f32>>, String> {
        let file = SafeTensors::deserialize(&self.bytes).map_err(|error| error.to_string())?;
        let mut found = 0;
        let mut read = |parameter: &Parameter| {
            let Ok(tensor) = file.tensor(&parameter.name) else { return Ok(Vec::new()) };
            found += 1;
            let (name, wanted) = (&parameter.name, shape(parameter)?);
            if tensor.shape() != wanted {
                let shape = tensor.shape();
                return Err(format!("tensor '{name}' has shape {shape:?} instead of {wanted:?}"));
            }
            let data = tensor.data();
            match tensor.dtype() {
                Dtype::F16 => {
                    let halves = data.as_chunks::<2>().0.iter();
                    Ok(halves.map(|&bytes| f16::from_le_bytes(bytes).to_f32()).collect())
                }
                Dtype::F32 => {
                    let singles = data.as_chunks::<4>().0.iter();
                    Ok(singles.map(|&bytes| f32::from_le_bytes(bytes)).collect())
                }
                other => Err(format!("tensor '{name}' has type {other:?}; F16 or F32 is needed")),
            }
        };
        let weights: Result<Vec<Vec<f32>>, String> =
            architecture.parameters.iter().map(&mut read).collect();
        let weights = weights?;
        match file.len() == found {
            true => Ok(weights),
            false => Err(format!("holds {} tensors, the graph knows {found} of them", file.len())),
        }
    }

    /// Number of stored values; 0 if this is no safetensors file.
    pub fn values(&self) -> u64 {
        let Ok(file) = SafeTensors::deserialize(&self.bytes) else { return 0 };
        let lengths = file.iter().map(|(_, tensor)| tensor.shape().iter().product::<usize>());
        lengths.fold(0, |sum, length| sum + length as u64)
    }
}

fn shape(parameter: &Parameter) -> Result<&[usize], String> {
    let unknown = || format!("the shape of tensor '{}' is not known", parameter.name);
    parameter.shape.as_deref().ok_or_else(unknown)
}
