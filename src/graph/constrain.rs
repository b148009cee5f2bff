//! Weights that the tensors of a file can make.

use super::{Architecture, ParameterId, Weights};

impl Architecture {
    /// Moves weights to the nearest ones that the tensors of the file can make.
    pub fn constrain(&self, weights: &mut Weights) {
        for index in 0..self.parameters.len() {
            let Some((storage, 0)) = self.storage_of(ParameterId(index)) else { continue };
            if storage.map.makes_all() {
                continue;
            }
            let values: Option<Vec<&[f32]>> =
                storage.parameters.iter().map(|&id| weights.get(id)).collect();
            let Some(values) = values else { continue };
            let tensors = 0..storage.tensors.len();
            let tensors: Vec<Vec<f32>> =
                tensors.map(|place| storage.map.tensor(place, &values)).collect();
            let tensors: Vec<&[f32]> = tensors.iter().map(Vec::as_slice).collect();
            for (&id, values) in storage.parameters.iter().zip(storage.map.parameters(&tensors)) {
                weights.set(id, values);
            }
        }
    }
}
