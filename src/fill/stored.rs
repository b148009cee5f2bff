//! The tensors of a network as its file stores them.

use std::borrow::Cow;

use crate::{
    graph::{Form, Parameter, ParameterId, Storage, Weights},
    onnx::OnnxError,
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
