//! The tensors of a network as its file stores them.

use std::{borrow::Cow, collections::HashMap};

use crate::{
    graph::{Architecture, Form, Layout, Parameter, ParameterId, Role, Storage, Weights},
    onnx::{
        OnnxError,
        names::{Hints, state_dict_names},
    },
};

use super::Network;

/// A tensor as the file stores it: a parameter of the graph, or one of those that parameters follow from.
#[derive(Clone, Copy, Debug)]
pub struct StoredTensor<'a> {
    network: &'a Network,
    /// What the file says of it.
    pub tensor: &'a Parameter,
    /// The parameter, or the first of those that follow from it.
    pub parameter: ParameterId,
    /// How they do, and the tensor's place there.
    part: Option<(&'a Storage, usize)>,
    /// Name in PyTorch's state dict.
    pub state_dict: &'a str,
}

impl Network {
    /// Every tensor that the file stores, in the order of the parameters.
    pub fn tensors(&self) -> Vec<StoredTensor<'_>> {
        let mut tensors = Vec::new();
        for (index, parameter) in self.architecture.parameters.iter().enumerate() {
            let own = ParameterId(index);
            match self.architecture.storage_of(own) {
                None => tensors.push(StoredTensor {
                    network: self,
                    tensor: parameter,
                    parameter: own,
                    part: None,
                    state_dict: &self.names[index],
                }),
                Some((storage, 0)) => {
                    tensors.extend(storage.tensors.iter().enumerate().map(|(place, tensor)| {
                        StoredTensor {
                            network: self,
                            tensor,
                            parameter: own,
                            part: Some((storage, place)),
                            state_dict: match storage.in_state_dict {
                                Form::Parameters => &self.names[index],
                                Form::Tensors => &self.names_of_tensors[&(own, place)],
                            },
                        }
                    }));
                }
                Some(_) => {}
            }
        }
        tensors
    }
}

impl<'a> StoredTensor<'a> {
    /// Its values in a set of weights; `None` where these lack a parameter that it depends on.
    pub fn values<'w>(&self, weights: &'w Weights) -> Option<Cow<'w, [f32]>> {
        let Some((storage, place)) = self.part else {
            return weights.get(self.parameter).map(Cow::Borrowed);
        };
        let parameters: Option<Vec<&[f32]>> =
            storage.parameters.iter().map(|&id| weights.get(id)).collect();
        Some(Cow::Owned(storage.map.tensor(place, &parameters?)))
    }

    /// As [`StoredTensor::values`], or what the file holds; empty where there is nothing.
    pub fn values_or_stored<'w>(&self, weights: &'w Weights) -> Result<Cow<'w, [f32]>, OnnxError> {
        match self.values(weights) {
            Some(values) => Ok(values),
            None => {
                let stored = self.tensor.value_in(&self.network.model)?;
                Ok(Cow::Owned(stored.map(|stored| stored.data).unwrap_or_default()))
            }
        }
    }

    /// Whether the state dict holds it by itself.
    pub fn is_in_state_dict(&self) -> bool {
        self.part.is_none_or(|(storage, _)| storage.in_state_dict == Form::Tensors)
    }
}

/// PyTorch's names: those of the parameters, and those of the tensors that a state dict holds in their
/// place, by the first parameter that follows from them and their place among them.
pub(super) type Names = (Vec<String>, HashMap<(ParameterId, usize), String>);

/// Names what a state dict holds; everything else is called as in the file.
pub(super) fn names(architecture: &Architecture) -> Names {
    let mut entries: Vec<(Result<usize, (ParameterId, usize)>, &Parameter)> = Vec::new();
    for (index, parameter) in architecture.parameters.iter().enumerate() {
        match architecture.storage_of(ParameterId(index)) {
            Some((storage, place)) if storage.in_state_dict == Form::Tensors => {
                if place == 0 {
                    let parts = storage.tensors.iter().enumerate();
                    entries.extend(parts.map(|(part, it)| (Err((ParameterId(index), part)), it)));
                }
            }
            _ => entries.push((Ok(index), parameter)),
        }
    }
    let all: Vec<Hints> = entries
        .iter()
        .map(|(_, parameter)| Hints {
            initializer: &parameter.name,
            module: parameter.module.as_deref(),
            leaf: parameter.role().and_then(Role::torch_attribute),
        })
        .collect();
    let named = state_dict_names(&all);
    let mut names: Vec<String> =
        architecture.parameters.iter().map(|parameter| parameter.name.clone()).collect();
    let mut of_tensors = HashMap::new();
    for ((entry, _), name) in entries.iter().zip(named) {
        match entry {
            Ok(index) => names[*index] = name,
            Err(part) => {
                of_tensors.insert(*part, name);
            }
        }
    }
    (names, of_tensors)
}

/// Whether PyTorch stores a tensor transposed: matrices that the file keeps `[in, out]`.
pub(super) fn is_transposed(tensor: &Parameter) -> bool {
    let matrix = tensor.shape.as_ref().is_some_and(|shape| shape.len() == 2);
    let slot = tensor.slots.first();
    matrix && slot.is_some_and(|slot| slot.role == Role::Weight && slot.layout == Layout::InOut)
}
