//! The weights of a graph.

use super::ParameterId;

/// Values by parameter of an architecture: its weights, or gradients with respect to them. Each tensor
/// is row-major, in the shape that the file stores. A parameter that nobody gave values is *absent*; a
/// tensor without any value counts as absent, too.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights(Vec<Option<Vec<f32>>>);

impl Weights {
    /// Nothing for any of so many parameters.
    pub fn absent(parameters: usize) -> Self {
        Self(vec![None; parameters])
    }

    /// Zeros, so many for each parameter.
    pub fn zeros(lengths: &[usize]) -> Self {
        lengths.iter().map(|&length| vec![0.0; length]).collect()
    }

    /// Number of parameters, absent ones included.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no parameters at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The values of a parameter, if it has any.
    pub fn get(&self, parameter: ParameterId) -> Option<&[f32]> {
        self.0.get(parameter.0)?.as_deref()
    }

    /// The values of a parameter to be changed, if it has any.
    pub fn get_mut(&mut self, parameter: ParameterId) -> Option<&mut [f32]> {
        self.0.get_mut(parameter.0)?.as_deref_mut()
    }

    /// Gives a parameter values in place of those that it had.
    ///
    /// # Panics
    /// If there is no such parameter.
    pub fn set(&mut self, parameter: ParameterId, values: Vec<f32>) {
        self.0[parameter.0] = present(values);
    }

    /// The values of every parameter, in order.
    pub fn by_parameter(&self) -> impl Iterator<Item = Option<&[f32]>> {
        self.0.iter().map(Option::as_deref)
    }

    /// The tensors that are there, in the order of their parameters.
    pub fn tensors(&self) -> impl Iterator<Item = (ParameterId, &[f32])> {
        let tensors = self.by_parameter().enumerate();
        tensors.filter_map(|(index, values)| Some((ParameterId(index), values?)))
    }

    /// As [`Weights::tensors`], to be changed.
    pub fn tensors_mut(&mut self) -> impl Iterator<Item = (ParameterId, &mut [f32])> {
        let tensors = self.0.iter_mut().enumerate();
        tensors.filter_map(|(index, values)| Some((ParameterId(index), values.as_deref_mut()?)))
    }

    /// The tensors that both have in the same size.
    pub fn pairs<'a>(
        &'a self,
        other: &'a Self,
    ) -> impl Iterator<Item = (ParameterId, [&'a [f32]; 2])> {
        self.tensors().filter_map(move |(id, own)| {
            let others = other.get(id).filter(|others| others.len() == own.len())?;
            Some((id, [own, others]))
        })
    }

    /// All values, tensor by tensor.
    pub fn values(&self) -> impl Iterator<Item = &f32> {
        self.0.iter().flatten().flatten()
    }

    /// As [`Weights::values`], to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut f32> {
        self.0.iter_mut().flatten().flatten()
    }

    /// What a function makes of every tensor that is there.
    pub fn map(&self, mut of: impl FnMut(ParameterId, &[f32]) -> Vec<f32>) -> Self {
        let mut mapped = Self::absent(self.len());
        self.tensors().for_each(|(id, values)| mapped.set(id, of(id, values)));
        mapped
    }

    /// Takes over every tensor that is there in another set of weights of the same graph.
    ///
    /// # Panics
    /// If the other one has more parameters.
    pub fn take_over(&mut self, other: Self) {
        for (index, values) in other.0.into_iter().enumerate() {
            if values.is_some() {
                self.0[index] = values;
            }
        }
    }

    /// One slice for each parameter, as kernels read them: empty where it is absent.
    pub(crate) fn as_slices(&self) -> Vec<&[f32]> {
        self.by_parameter().map(Option::unwrap_or_default).collect()
    }
}

fn present(values: Vec<f32>) -> Option<Vec<f32>> {
    Some(values).filter(|values| !values.is_empty())
}

impl FromIterator<Vec<f32>> for Weights {
    fn from_iter<I: IntoIterator<Item = Vec<f32>>>(values: I) -> Self {
        Self(values.into_iter().map(present).collect())
    }
}

impl FromIterator<Option<Vec<f32>>> for Weights {
    fn from_iter<I: IntoIterator<Item = Option<Vec<f32>>>>(values: I) -> Self {
        Self(values.into_iter().map(|values| values.and_then(present)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tensor_without_values_is_absent() {
        let mut weights: Weights = [vec![1.0, 2.0], Vec::new(), vec![3.0]].into_iter().collect();
        assert_eq!(weights.len(), 3);
        assert_eq!(weights.get(ParameterId(1)), None);
        assert_eq!(weights.get(ParameterId(7)), None);
        assert_eq!(weights.as_slices(), [&[1.0, 2.0][..], &[], &[3.0]]);
        weights.set(ParameterId(0), Vec::new());
        let there: Vec<_> = weights.tensors().collect();
        assert_eq!(there, [(ParameterId(2), &[3.0][..])]);
    }

    #[test]
    fn pairs_are_tensors_of_the_same_size() {
        let own: Weights = [vec![1.0], vec![2.0], Vec::new()].into_iter().collect();
        let other: Weights = [vec![4.0], vec![5.0, 6.0], vec![7.0]].into_iter().collect();
        let pairs: Vec<_> = own.pairs(&other).collect();
        assert_eq!(pairs, [(ParameterId(0), [&[1.0][..], &[4.0]])]);
        let mut both = own.clone();
        both.take_over(other.clone());
        assert_eq!(both, other);
    }
}
