//! PyTorch's state dict of a network: written, and read back.

use std::{collections::HashSet, io, path::Path};

use safetensors::{Dtype, SafeTensors};

use crate::{
    FileError,
    graph::{DType, Form, Parameter, ParameterId, Role, Weights, transpose},
    onnx::{self, OnnxError, safetensors::Entry},
};

use super::{
    FillError, FilledNetwork, Network,
    stored::StoredTensor,
    torch::{is_transposed, torch_shape},
};

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
            let in_its_place = self.network.architecture.storage_of(ParameterId(index));
            if in_its_place.is_none_or(|(storage, _)| storage.in_state_dict == Form::Parameters) {
                let bytes = move || self.parameter_bytes(index).map_err(io::Error::other);
                self.entry(&mut entries, parameter, index, &self.network.names[index], bytes);
            }
        }
        for stored in self.network.tensors() {
            let StoredTensor { tensor, parameter, state_dict, .. } = stored;
            let parameter = parameter.0;
            if self.network.architecture.storage_of(stored.parameter).is_some()
                && stored.is_in_state_dict()
            {
                let bytes = move || {
                    let values = stored.values_or_stored(&self.prediction.weights);
                    values.map(|values| encoded(tensor, &values)).map_err(io::Error::other)
                };
                self.entry(&mut entries, tensor, parameter, state_dict, bytes);
            }
        }
        let tensors = self.network.tensors();
        let floats = tensors.iter().filter(|stored| stored.tensor.dtype.is_float());
        let mut known: HashSet<String> = floats.map(|it| it.tensor.name.clone()).collect();
        known.extend(entries.iter().map(|entry| entry.name().to_owned()));
        for saved in self.network.model.saved_buffers(|name| known.contains(name)) {
            let dtype = match DType::from_onnx(saved.data_type) {
                DType::F32 => Dtype::F32,
                DType::I64 => Dtype::I64,
                DType::I32 => Dtype::I32,
                DType::Bool => Dtype::BOOL,
                _ => continue,
            };
            entries.push(Entry::new(saved.name, dtype, saved.shape, saved.bytes));
        }
        entries
    }

    /// Adds a tensor of the state dict, if it has values; `parameter` is one that says whether it does.
    fn entry<'a>(
        &self,
        entries: &mut Vec<Entry<'a>>,
        tensor: &Parameter,
        parameter: usize,
        name: &str,
        bytes: impl Fn() -> io::Result<Vec<u8>> + 'a,
    ) {
        if !self.in_state_dict(parameter) {
            return;
        }
        let Some(shape) = torch_shape(tensor, name) else { return };
        let float = FLOATS.into_iter().find(|(own, _)| *own == tensor.dtype);
        let Some((_, dtype)) = float else { return };
        if tensor.role() == Some(Role::RunningMean)
            && let Some(module) = name.strip_suffix(".running_mean")
        {
            let counter = format!("{module}.num_batches_tracked");
            entries.push(Entry::new(counter, Dtype::I64, vec![], vec![0; 8]));
        }
        entries.push(Entry::later(name.to_owned(), dtype, shape, bytes));
    }

    /// Whether the state dict has a parameter: one that was filled, or that keeps what the file holds.
    pub(super) fn in_state_dict(&self, index: usize) -> bool {
        let id = ParameterId(index);
        let architecture = &self.network.architecture;
        architecture.parameters[index].dtype.is_float()
            && (self.prediction.weights.get(id).is_some() || architecture.holds_value(id))
    }

    /// A parameter as PyTorch stores it.
    fn parameter_bytes(&self, index: usize) -> Result<Vec<u8>, OnnxError> {
        let (id, Network { architecture, model, .. }) = (ParameterId(index), self.network);
        let parameter = &architecture.parameters[index];
        Ok(match self.prediction.weights.get(id) {
            Some(values) => encoded(parameter, values),
            None => {
                let kept = architecture.value_in(model, id)?;
                encoded(parameter, &kept.map(|kept| kept.data).unwrap_or_default())
            }
        })
    }
}

/// The bytes of a tensor as PyTorch stores it.
fn encoded(tensor: &Parameter, values: &[f32]) -> Vec<u8> {
    let number = tensor.dtype.to_onnx();
    let bytes = match tensor.shape.as_deref() {
        Some(&[rows, columns]) if is_transposed(tensor) => {
            onnx::encode(&transpose(values, [rows, columns]), number)
        }
        _ => onnx::encode(values, number),
    };
    bytes.unwrap_or_default()
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
        let mut weights = Weights::absent(self.architecture.parameters.len());
        for (index, parameter) in self.architecture.parameters.iter().enumerate() {
            let id = ParameterId(index);
            let values = match self.architecture.storage_of(id) {
                Some((storage, place)) if storage.in_state_dict == Form::Tensors => {
                    let first = storage.parameters[0];
                    let parts = storage.tensors.iter().enumerate().map(|(part, tensor)| {
                        read(&file, &self.names_of_tensors[&(first, part)], tensor).map_err(refuse)
                    });
                    let parts: Vec<Vec<f32>> = parts.collect::<Result<_, _>>()?;
                    let parts: Vec<&[f32]> = parts.iter().map(Vec::as_slice).collect();
                    storage.map.parameters(&parts).swap_remove(place)
                }
                _ => read(&file, &self.names[index], parameter).map_err(refuse)?,
            };
            weights.set(id, values);
        }
        Ok(weights)
    }
}

/// One tensor in the shape of the graph; otherwise what is wrong with it.
fn read(file: &SafeTensors, name: &str, wanted: &Parameter) -> Result<Vec<f32>, String> {
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
    let shape = torch_shape(wanted, name).unwrap_or_default();
    if tensor.shape() != shape {
        let own = tensor.shape();
        return Err(format!("tensor '{name}' has shape {own:?}, the network asks for {shape:?}"));
    }
    let values = onnx::decode_floats(tensor.data(), dtype.to_onnx()).unwrap_or_default();
    Ok(match shape[..] {
        [rows, columns] if is_transposed(wanted) => transpose(&values, [rows, columns]),
        _ => values,
    })
}
