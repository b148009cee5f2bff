//! Tensors that are no weights though they stand where weights stand: low-pass kernels, tables of numbers.
//! Those that the exporter calls buffers or constants are none to begin with; others are kept where the
//! user names them, and pointed out where they look like it.

use crate::graph::{Parameter, ParameterId, Role, Tensor};

use super::{FillError, Network};

/// Tensors of more values are not looked at.
const LARGEST: usize = 1 << 16;

impl Network {
    /// Lets tensors keep their values.
    pub(super) fn keep(&mut self, names: &[String]) -> Result<(), FillError> {
        let mut kept = Vec::new();
        for name in names {
            let tensors = self.tensors();
            let named = tensors.iter().find(|it| it.tensor.name == *name || it.state_dict == name);
            let parameter = self.names.iter().position(|own| own == name).map(ParameterId);
            let Some(id) = named.map(|stored| stored.parameter).or(parameter) else {
                let (file, name) = (self.model.name().to_owned(), name.clone());
                return Err(FillError::NothingToKeep { file, name });
            };
            if !self.architecture.holds_value(id) {
                let (file, name) = (self.model.name().to_owned(), name.clone());
                return Err(FillError::NoValueToKeep { file, name });
            }
            match self.architecture.storage_of(id) {
                Some((storage, _)) => kept.extend(&storage.parameters),
                None => kept.push(id),
            }
        }
        for id in kept {
            self.architecture.parameters[id.0].fixed = true;
        }
        Ok(())
    }

    /// Sentences about tensors that are predicted and look as if they should not be.
    pub(super) fn look_fixed(&self) -> Vec<String> {
        let suspect = |(index, parameter): (usize, &Parameter)| {
            let weight = matches!(parameter.role(), Some(Role::Weight | Role::Free));
            let small = parameter.len().is_some_and(|count| count <= LARGEST);
            if !weight || !small || parameter.fixed {
                return None;
            }
            let value = self.architecture.value_in(&self.model, ParameterId(index)).ok()??;
            let why = looks_fixed(&value, parameter.role())?;
            let name = &self.names[index];
            Some(format!(
                "'{name}' looks fixed ({why}) and is predicted all the same; --keep {name} keeps it"
            ))
        };
        self.architecture.parameters.iter().enumerate().filter_map(suspect).collect()
    }
}

/// Why a tensor looks as if nobody learned it.
fn looks_fixed(tensor: &Tensor, role: Option<Role>) -> Option<&'static str> {
    let data = &tensor.data;
    let (first, second) = (*data.first()?, *data.get(1)?);
    if data.len() > 3
        && data.windows(2).all(|pair| pair[1] - pair[0] == second - first)
        && first != second
    {
        return Some("its values are evenly spaced");
    }
    if role != Some(Role::Weight) || data.iter().all(|&value| value == first) {
        return None;
    }
    let kernel: usize = tensor.shape.iter().skip(1).product();
    if tensor.shape.len() > 2
        && tensor.shape[0] > 1
        && data.chunks(kernel.max(1)).all(|it| *it == data[..kernel])
    {
        return Some("all its kernels are equal");
    }
    data.iter().all(|value| value.fract() == 0.0).then_some("its values are integers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_and_tables_that_nobody_learned_are_noticed() {
        let look = |shape: &[usize], data: &[f32]| {
            looks_fixed(&Tensor { shape: shape.to_vec(), data: data.to_vec() }, Some(Role::Weight))
        };
        assert!(look(&[1, 4, 1, 1], &[0.0, 1.0, 2.0, 3.0]).is_some());
        let blur = [0.25, 0.5, 0.25, 0.25, 0.5, 0.25];
        assert!(look(&[2, 1, 1, 3], &blur).unwrap().contains("equal"));
        assert!(look(&[1, 1, 1, 3], &[-1.0, 0.0, 2.0]).unwrap().contains("integers"));
        assert!(look(&[2, 3], &[0.1, -0.2, 0.3, 0.7, 0.1, 0.9]).is_none());
        // Fresh weights of one number, such as the last layer of a branch that starts at zero.
        assert!(look(&[2, 1, 1, 2], &[0.0; 4]).is_none());
    }
}
