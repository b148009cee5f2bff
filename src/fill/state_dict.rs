//! PyTorch's state dict of a network: written, and read back.

use std::{borrow::Cow, io, path::Path};

use safetensors::{Dtype, SafeTensors};

use crate::{
    FileError,
    graph::{DType, ParameterId, Role, Weights},
    onnx::{self, OnnxError, safetensors::Entry},
};

use super::{FillError, FilledNetwork, Network};

/// Types of floats in both kinds of files.
const FLOATS: [(DType, Dtype); 4] = [
    (DType::F32, Dtype::F32),
    (DType::F64, Dtype::F64),
    (DType::F16, Dtype::F16),
    (DType::BF16, Dtype::BF16),
];

impl FilledNetwork<'_> {
    /// The PyTorch state dict; values are made when they are asked for.
    pub fn state_dict(&self) -> Vec<Entry<'_>> {
        let mut entries = Vec::new();
        for (index, parameter) in self.network.architecture.parameters.iter().enumerate() {
            if !self.in_state_dict(index) {
                continue;
            }
            let Some(shape) = self.network.torch_shape(index) else { continue };
            let Some((_, dtype)) = FLOATS.into_iter().find(|(own, _)| *own == parameter.dtype)
            else {
                continue;
            };
            let name = &self.network.names[index];
            if parameter.role() == Some(Role::RunningMean)
                && let Some(module) = name.strip_suffix(".running_mean")
            {
                let counter = format!("{module}.num_batches_tracked");
                entries.push(Entry::new(counter, Dtype::I64, vec![], vec![0; 8]));
            }
            let bytes = move || self.stored(index).map_err(io::Error::other);
            entries.push(Entry::later(name.clone(), dtype, shape, bytes));
        }
        for saved in self.network.model.saved_buffers() {
            let dtype = match DType::from_onnx(saved.data_type) {
                DType::F32 => Dtype::F32,
                DType::I64 => Dtype::I64,
                DType::I32 => Dtype::I32,
                DType::Bool => Dtype::BOOL,
                _ => continue,
            };
            if !entries.iter().any(|entry| entry.name() == saved.name) {
                entries.push(Entry::new(saved.name, dtype, saved.shape, saved.bytes));
            }
        }
        entries
    }

    /// Whether the state dict has a parameter: one that was filled, or that keeps what the file holds.
    pub(super) fn in_state_dict(&self, index: usize) -> bool {
        let id = ParameterId(index);
        let architecture = &self.network.architecture;
        architecture.parameters[index].dtype.is_float()
            && (self.prediction.weights.get(id).is_some() || architecture.holds_value(id))
    }

    /// A parameter as PyTorch stores it.
    fn stored(&self, index: usize) -> Result<Vec<u8>, OnnxError> {
        let parameter = &self.network.architecture.parameters[index];
        let mut values = self.values(index)?;
        if let Some(&[rows, columns]) = parameter.shape.as_deref()
            && self.network.transposed(index)
        {
            values = Cow::Owned(transpose(&values, rows, columns));
        }
        Ok(onnx::encode(&values, parameter.dtype.to_onnx()).unwrap_or_default())
    }
}

impl Network {
    /// The weights of a state dict, in the shapes of the graph. The file is
    /// one that was written with the network: its tensors have the names of [`Network::names`].
    ///
    /// # Errors
    ///
    /// The file cannot be read, lacks a tensor, or has one of another shape or type.
    pub fn state_dict_weights(&self, path: &Path) -> Result<Weights, FillError> {
        let bytes = std::fs::read(path).map_err(FileError::at(path))?;
        let refuse = |problem| FillError::StateDict { path: path.to_owned(), problem };
        let file = SafeTensors::deserialize(&bytes).map_err(|error| refuse(error.to_string()))?;
        let indices = 0..self.architecture.parameters.len();
        indices.map(|index| self.weight_in(&file, index).map_err(refuse)).collect()
    }

    /// One parameter; otherwise what is wrong with it.
    fn weight_in(&self, file: &SafeTensors, index: usize) -> Result<Vec<f32>, String> {
        let name = &self.names[index];
        let missing = |_| {
            format!(
                "tensor '{name}' of the network is missing; take the state dict that was written with it"
            )
        };
        let tensor = file.tensor(name).map_err(missing)?;
        let floats = FLOATS.into_iter().find(|(_, stored)| *stored == tensor.dtype());
        let Some((dtype, _)) = floats else {
            let stored = tensor.dtype();
            return Err(format!(
                "tensor '{name}' is of type {stored}; weights are F16, BF16, F32 or F64"
            ));
        };
        let shape = self.torch_shape(index).unwrap_or_default();
        if tensor.shape() != shape {
            let own = tensor.shape();
            return Err(format!(
                "tensor '{name}' has shape {own:?}, the network asks for {shape:?}"
            ));
        }
        let values = onnx::decode_floats(tensor.data(), dtype.to_onnx()).unwrap_or_default();
        Ok(match shape[..] {
            [rows, columns] if self.transposed(index) => transpose(&values, rows, columns),
            _ => values,
        })
    }
}

/// The transpose of a rows × columns matrix.
fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns)
        .flat_map(|column| (0..rows).map(move |row| values[row * columns + column]))
        .collect()
}
