//! Weights that others trained, read for the parameters of a graph.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors};

use crate::{
    FileError,
    graph::{Architecture, ParameterId, Tensor, Weights},
    onnx::{Model, folder::is_onnx},
};

use super::ZooError;

/// How a file may call a parameter of a graph.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// As the graph does; such a tensor has the graph's shape.
    pub initializer: &'a str,
    /// As PyTorch does.
    pub state_dict: &'a str,
    /// Whether PyTorch stores it with its two axes exchanged.
    pub transposed: bool,
    /// Shape in the graph.
    pub shape: &'a [usize],
}

/// Weights of another program.
#[derive(Clone, Debug)]
pub struct Foreign {
    /// Of every parameter of the graph.
    pub weights: Weights,
    /// Tensors of the file that no parameter asks for.
    pub unused: Vec<String>,
}

impl Foreign {
    /// Reads a safetensors or ONNX file. Every parameter must be there, under one of its names. A
    /// matrix under a name that graph and PyTorch have in common is taken as the file's other matrices
    /// are stored, or, if all are square, as PyTorch (safetensors) or the graph (ONNX) would.
    pub fn read(path: &Path, wanted: &[Wanted]) -> Result<Self, ZooError> {
        let damaged = |problem: String| ZooError::Damaged { path: path.to_owned(), problem };
        let onnx = is_onnx(path);
        let mut tensors = if onnx { of_onnx(path)? } else { of_safetensors(path)? };
        let reversed = stored_reversed(&tensors, wanted).unwrap_or(!onnx);
        let mut used = BTreeSet::new();
        let mut weights: Vec<Vec<f32>> = Vec::with_capacity(wanted.len());
        for it in wanted {
            let shared = it.initializer == it.state_dict;
            let names = [(it.initializer, shared && reversed), (it.state_dict, true)];
            let Some((name, reversed)) =
                names.into_iter().find(|(name, _)| tensors.contains_key(*name))
            else {
                let (own, torch) = (it.initializer, it.state_dict);
                let problem = format!(
                    "holds no tensor '{torch}' (PyTorch's name) or '{own}' (the graph's name)"
                );
                return Err(damaged(problem));
            };
            let Tensor { shape, data } = &tensors[name];
            let exchange = it.transposed && reversed;
            let mut expected = it.shape.to_vec();
            if exchange {
                expected.reverse();
            }
            let one_axis = |shape: &[usize]| -> Vec<usize> {
                shape.iter().copied().filter(|&extent| extent != 1).take(2).collect()
            };
            // Exporters put unit axes around vectors, so that they broadcast over an image.
            let [own, wanted] = [shape, &expected].map(|shape| one_axis(shape));
            if *shape != expected && (own != wanted || own.len() > 1) {
                let problem =
                    format!("tensor '{name}' has shape {shape:?} instead of {expected:?}");
                return Err(damaged(problem));
            }
            weights.push(match (exchange, shape.as_slice()) {
                (true, &[rows, columns]) => (0..rows * columns)
                    .map(|index| data[index % rows * columns + index / rows])
                    .collect(),
                _ => data.clone(),
            });
            used.insert(name);
        }
        tensors.retain(|name, _| !used.contains(name.as_str()));
        Ok(Self { weights: weights.into_iter().collect(), unused: tensors.into_keys().collect() })
    }
}

/// Whether matrices are stored as PyTorch does, if one that is not square shows it.
fn stored_reversed(tensors: &BTreeMap<String, Tensor>, wanted: &[Wanted]) -> Option<bool> {
    let shared = |it: &&Wanted| it.transposed && it.initializer == it.state_dict;
    wanted.iter().filter(shared).find_map(|it| {
        let [rows, columns] = it.shape.try_into().ok()?;
        let stored: [usize; 2] = tensors.get(it.initializer)?.shape.as_slice().try_into().ok()?;
        (rows != columns).then_some(stored == [columns, rows])
    })
}

fn of_onnx(path: &Path) -> Result<BTreeMap<String, Tensor>, ZooError> {
    let model = Model::open(path)?;
    let architecture = Architecture::from_model(&model)?;
    let mut tensors = BTreeMap::new();
    for (index, parameter) in architecture.parameters.iter().enumerate() {
        if let Some(value) = architecture.value_in(&model, ParameterId(index))? {
            tensors.insert(parameter.name.clone(), value);
        }
    }
    Ok(tensors)
}

/// Tensors of floats; others, such as counters of batches, are no weights.
fn of_safetensors(path: &Path) -> Result<BTreeMap<String, Tensor>, ZooError> {
    let bytes = std::fs::read(path).map_err(FileError::at(path))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| ZooError::Damaged {
        path: path.to_owned(),
        problem: format!("not a safetensors file: {error}"),
    })?;
    let mut tensors = BTreeMap::new();
    for (name, tensor) in file.iter() {
        let raw = tensor.data();
        let (pairs, fours, eights) =
            (raw.as_chunks::<2>().0, raw.as_chunks::<4>().0, raw.as_chunks::<8>().0);
        let data: Vec<f32> = match tensor.dtype() {
            Dtype::F16 => pairs.iter().map(|&bytes| f16::from_le_bytes(bytes).to_f32()).collect(),
            Dtype::BF16 => pairs.iter().map(|&bytes| bf16::from_le_bytes(bytes).to_f32()).collect(),
            Dtype::F32 => fours.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect(),
            Dtype::F64 => eights.iter().map(|&bytes| f64::from_le_bytes(bytes) as f32).collect(),
            _ => continue,
        };
        tensors.insert(name.to_owned(), Tensor { shape: tensor.shape().to_vec(), data });
    }
    Ok(tensors)
}
