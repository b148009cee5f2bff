//! The values of one checkpoint as the bytes of a safetensors file.

use half::f16;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use crate::{
    graph::{Architecture, Parameter, Weights},
    onnx::{
        safetensors::{Entry, write},
        sha256,
    },
};

/// How weights are stored. Tensors of at most one axis (biases, norms, statistics) are few and
/// delicate, and always have single precision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
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
    /// Stores the weights that are there. The error says which tensor does not
    /// fit its graph.
    pub fn new(
        architecture: &Architecture,
        weights: &Weights,
        precision: Precision,
    ) -> Result<Self, String> {
        let mut entries = Vec::new();
        for (parameter, values) in architecture.parameters.iter().zip(weights.by_parameter()) {
            let Some(values) = values else { continue };
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

    /// The values by parameter; absent for those that are not stored. The error says which tensor
    /// is no parameter of the architecture, or has another shape.
    pub fn weights(&self, architecture: &Architecture) -> Result<Weights, String> {
        let file = SafeTensors::deserialize(&self.bytes).map_err(|error| error.to_string())?;
        let mut found = 0;
        let mut read = |parameter: &Parameter| -> Result<Option<Vec<f32>>, String> {
            let Ok(tensor) = file.tensor(&parameter.name) else { return Ok(None) };
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
                    Ok(Some(halves.map(|&bytes| f16::from_le_bytes(bytes).to_f32()).collect()))
                }
                Dtype::F32 => {
                    let singles = data.as_chunks::<4>().0.iter();
                    Ok(Some(singles.map(|&bytes| f32::from_le_bytes(bytes)).collect()))
                }
                other => Err(format!("tensor '{name}' has type {other:?}; F16 or F32 is needed")),
            }
        };
        let weights = architecture.parameters.iter().map(&mut read).collect::<Result<_, _>>()?;
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

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;
    use proptest::prelude::*;

    use crate::graph::{DType, Origin, ParameterId};

    use super::*;

    fn architecture(shapes: &[(&str, &[usize])]) -> Architecture {
        let parameter = |&(name, shape): &(&str, &[usize])| Parameter {
            name: name.to_owned(),
            dtype: DType::F32,
            shape: Some(shape.to_vec()),
            origin: Origin::Undefined,
            ..Parameter::default()
        };
        let parameters = shapes.iter().map(parameter).collect();
        Architecture { parameters, ..Architecture::default() }
    }

    fn of(tensors: &[&[f32]]) -> Weights {
        tensors.iter().map(|values| values.to_vec()).collect()
    }

    #[test]
    fn weights_are_read_back() {
        let graph = architecture(&[("w", &[2, 2]), ("kept", &[3]), ("b", &[2])]);
        let weights = of(&[&[0.1, -2.0, 3e-3, 70.0], &[], &[0.1, 1e6]]);
        let exact = Tensors::new(&graph, &weights, Precision::F32).unwrap();
        assert_eq!((exact.weights(&graph), exact.values()), (Ok(weights.clone()), 6));
        let half = Tensors::new(&graph, &weights, Precision::F16).unwrap();
        let read = half.weights(&graph).unwrap();
        let [own, first] = [&read, &weights].map(|it| it.get(ParameterId(0)).unwrap());
        assert_abs_diff_eq!(own, first, epsilon = 1e-4);
        let later = |weights: &Weights| {
            weights.tensors().skip(1).map(|it| it.1.to_vec()).collect::<Vec<_>>()
        };
        assert_eq!(later(&read), later(&weights));
        let again = Tensors::new(&graph, &read, Precision::F16).unwrap();
        assert_eq!(again.sha256(), half.sha256());
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let graph = architecture(&[("w", &[2, 2])]);
        let stored = Tensors::new(&graph, &of(&[&[1.0; 4]]), Precision::F16).unwrap();
        let read = |shapes| stored.weights(&architecture(shapes)).unwrap_err();
        assert!(read(&[("w", &[4])]).contains("shape [2, 2] instead of [4]"));
        assert!(read(&[("other", &[2, 2])]).contains("the graph knows 0"));
        let short = Tensors::new(&graph, &of(&[&[1.0; 3]]), Precision::F16);
        assert!(short.unwrap_err().contains("3 values"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_tensors_or_an_error(bytes: Vec<u8>, position: prop::sample::Index) {
            let graph = architecture(&[("w", &[2, 2]), ("b", &[2])]);
            let random = Tensors::from_bytes(bytes.clone());
            prop_assert!(random.weights(&graph).is_err());
            prop_assert_eq!(random.values(), 0);
            let weights = of(&[&[1.0; 4], &[2.0; 2]]);
            let mut changed = Tensors::new(&graph, &weights, Precision::F16).unwrap().bytes;
            let position = position.index(changed.len());
            for (to, from) in changed[position..].iter_mut().zip(bytes) {
                *to = from;
            }
            let changed = Tensors::from_bytes(changed);
            let _ = (changed.weights(&graph), changed.values());
        }
    }
}
