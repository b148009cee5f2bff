//! PyTorch's state dict of a network: written, and read back.

use std::{borrow::Cow, io, path::Path};

use safetensors::{Dtype, SafeTensors};

use crate::{
    FileError,
    graph::{DType, ParameterId, Role, Weights},
    onnx::{self, OnnxError, safetensors::Entry},
    predictor::ValueSource,
};

use super::{FillError, FilledNetwork, Network};

impl FilledNetwork<'_> {
    /// The PyTorch state dict; values are made when they are asked for.
    pub fn state_dict(&self) -> Vec<Entry<'_>> {
        let mut entries = Vec::new();
        for (index, parameter) in self.network.architecture.parameters.iter().enumerate() {
            let written = self.prediction.weights.get(ParameterId(index)).is_some()
                || self.prediction.labels[index] == ValueSource::Kept;
            let Some(mut shape) = parameter.shape.clone().filter(|_| written) else { continue };
            let dtype = match parameter.dtype {
                DType::F32 => Dtype::F32,
                DType::F64 => Dtype::F64,
                DType::F16 => Dtype::F16,
                DType::BF16 => Dtype::BF16,
                _ => continue,
            };
            if self.network.transposed(index) {
                shape.reverse();
            }
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
        let tensor = file.tensor(name).map_err(|_| format!("tensor '{name}' is missing"))?;
        if tensor.dtype() != Dtype::F32 {
            return Err(format!("tensor '{name}' is not of 32-bit floats"));
        }
        let mut shape = self.architecture.parameters[index].shape.clone().unwrap_or_default();
        let transposed = self.transposed(index);
        if transposed {
            shape.reverse();
        }
        if tensor.shape() != shape {
            let own = tensor.shape();
            return Err(format!(
                "tensor '{name}' has shape {own:?}, the network asks for {shape:?}"
            ));
        }
        let values = tensor.data().as_chunks::<4>().0.iter();
        let values: Vec<f32> = values.map(|&bytes| f32::from_le_bytes(bytes)).collect();
        Ok(if transposed { transpose(&values, shape[0], shape[1]) } else { values })
    }
}

/// The transpose of a rows × columns matrix.
fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns)
        .flat_map(|column| (0..rows).map(move |row| values[row * columns + column]))
        .collect()
}
