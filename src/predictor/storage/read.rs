//! From files to values.

use std::path::Path;

use half::f16;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::neural::Entry;

use super::{
    super::PredictorError,
    SCALE, Tensor, matrix,
    packed::{GROUP, unpack},
};

/// The tensors of one `model.safetensors`.
pub(in super::super) struct ModelFile<'a> {
    path: &'a Path,
    tensors: SafeTensors<'a>,
}

impl<'a> ModelFile<'a> {
    /// Reads the header; the path is for errors.
    pub fn parse(path: &'a Path, bytes: &'a [u8]) -> Result<Self, PredictorError> {
        let tensors = SafeTensors::deserialize(bytes).map_err(|error| {
            PredictorError::Checkpoint { path: path.to_owned(), problem: error.to_string() }
        })?;
        Ok(Self { path, tensors })
    }

    /// Whether it stores the very same tensor.
    pub fn holds(&self, tensor: &Tensor) -> bool {
        self.get(&tensor.name).is_some_and(|own| {
            (own.dtype(), own.shape(), own.data())
                == (tensor.dtype, &tensor.shape[..], &tensor.data[..])
        })
    }

    fn get(&self, name: &str) -> Option<TensorView<'a>> {
        self.tensors.tensor(name).ok()
    }

    fn invalid(&self, tensor: &str, problem: impl Into<String>) -> PredictorError {
        let (path, tensor) = (self.path.to_owned(), tensor.to_owned());
        PredictorError::Tensor { path, tensor, problem: problem.into() }
    }

    /// Every tensor must be one of the network, or the scales of one that is packed.
    fn has_nothing_else(&self, entries: &[Entry]) -> Result<(), PredictorError> {
        let known = |name: &str| entries.iter().any(|entry| entry.name == name);
        let packed = |name: &str| self.get(name).is_some_and(|it| it.dtype() == Dtype::U8);
        let stranger = self.tensors.names().into_iter().find(|name| {
            !known(name) && !name.strip_suffix(SCALE).is_some_and(|it| known(it) && packed(it))
        });
        match stranger {
            Some(name) => {
                Err(self.invalid(name, "has no place in the network that config.json describes"))
            }
            None => Ok(()),
        }
    }

    /// Appends the values of a tensor that it holds.
    fn append(
        &self,
        tensor: &TensorView,
        entry: &Entry,
        values: &mut Vec<f32>,
    ) -> Result<(), PredictorError> {
        let data = tensor.data();
        match tensor.dtype() {
            Dtype::U8 => return self.append_packed(tensor, entry, values),
            Dtype::F16 | Dtype::F32 if tensor.shape() != entry.shape => {
                let (is, wanted) = (tensor.shape(), &entry.shape);
                let problem = format!("has shape {is:?}, config.json asks for {wanted:?}");
                return Err(self.invalid(&entry.name, problem));
            }
            Dtype::F16 => values.extend(halves(data).map(f16::to_f32)),
            Dtype::F32 => {
                values.extend(data.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)));
            }
            other => {
                let problem = format!("has type {other:?}; F16, F32, or U8 with scales is needed");
                return Err(self.invalid(&entry.name, problem));
            }
        }
        Ok(())
    }

    fn append_packed(
        &self,
        tensor: &TensorView,
        entry: &Entry,
        values: &mut Vec<f32>,
    ) -> Result<(), PredictorError> {
        let [rows, columns] = matrix(&entry.shape);
        let bits = bits(tensor.shape(), [rows, columns]);
        let Some(bits) = bits else {
            let (is, wanted) = (tensor.shape(), &entry.shape);
            let problem = format!("of packed shape {is:?} does not hold {wanted:?} values");
            return Err(self.invalid(&entry.name, problem));
        };
        let name = format!("{}{SCALE}", entry.name);
        let Some(scales) = self.get(&name) else {
            return Err(self.invalid(&name, "is missing"));
        };
        if scales.dtype() != Dtype::F16 || scales.shape() != [rows] {
            let (dtype, shape) = (scales.dtype(), scales.shape());
            let problem = format!("is {dtype:?} {shape:?} instead of F16 [{rows}]");
            return Err(self.invalid(&name, problem));
        }
        if !halves(scales.data()).all(f16::is_finite) {
            return Err(self.invalid(&name, "is not finite everywhere"));
        }
        let codes = tensor.data().chunks_exact(columns / GROUP * bits);
        for (codes, scale) in codes.zip(halves(scales.data())) {
            unpack(codes, scale, bits, values);
        }
        Ok(())
    }
}

/// Bits of a packed value, if a tensor of this shape can hold the matrix.
fn bits(shape: &[usize], [rows, columns]: [usize; 2]) -> Option<usize> {
    let &[own, bytes] = shape else { return None };
    let groups = columns / GROUP;
    let bits = bytes.checked_div(groups)?;
    let fits = own == rows && columns.is_multiple_of(GROUP) && bytes == bits * groups;
    (fits && (2..=8).contains(&bits)).then_some(bits)
}

fn halves(data: &[u8]) -> impl Iterator<Item = f16> {
    data.as_chunks().0.iter().map(|&bytes| f16::from_le_bytes(bytes))
}

/// The flat values of a network, each tensor from the first of the files that holds it. Names and
/// shapes must be those of `entries`.
pub(in super::super) fn read(
    entries: &[Entry],
    files: &[ModelFile],
) -> Result<Vec<f32>, PredictorError> {
    files.iter().try_for_each(|file| file.has_nothing_else(entries))?;
    let mut values = Vec::with_capacity(entries.iter().map(Entry::len).sum());
    for entry in entries {
        let mut found = files.iter().filter_map(|file| Some((file, file.get(&entry.name)?)));
        match (found.next(), files.first()) {
            (Some((file, tensor)), _) => file.append(&tensor, entry, &mut values)?,
            (None, Some(file)) => return Err(file.invalid(&entry.name, "is missing")),
            (None, None) => {}
        }
    }
    Ok(values)
}
