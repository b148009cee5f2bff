//! Parameters that a file does not store as they are, and the way back to the tensors that it does store.

use std::fmt;

/// Which side of a [`Storage`](super::Storage).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The parameters of the graph.
    Parameters,
    /// The tensors of the file.
    Tensors,
}

/// How parameters follow from tensors of a file, and back. All values are row-major.
pub trait StorageMap: fmt::Debug + Send + Sync {
    /// The parameters, in the order of [`Storage::parameters`](super::Storage::parameters), from all tensors.
    fn parameters(&self, tensors: &[&[f32]]) -> Vec<Vec<f32>>;

    /// One of the tensors, by its place in [`Storage::tensors`](super::Storage::tensors), from all parameters. What is made of
    /// the tensors again is the parameters, up to rounding.
    fn tensor(&self, place: usize, parameters: &[&[f32]]) -> Vec<f32>;

    /// Whether tensors can make any parameters. If not, [`StorageMap::tensor`] gives the tensors that make the
    /// nearest ones.
    fn makes_all(&self) -> bool {
        true
    }
}

/// A parameter that is stored in one or several places, as it is or as the transpose of its `[rows,
/// columns]`.
#[derive(Clone, Debug)]
pub(super) struct Copies {
    /// Rows and columns of the parameter.
    pub extents: [usize; 2],
    /// For each place, whether the transpose is stored.
    pub transposed: Vec<bool>,
}

impl StorageMap for Copies {
    fn parameters(&self, tensors: &[&[f32]]) -> Vec<Vec<f32>> {
        let [rows, columns] = self.extents;
        vec![match self.transposed[0] {
            true => transpose(tensors[0], [columns, rows]),
            false => tensors[0].to_vec(),
        }]
    }

    fn tensor(&self, place: usize, parameters: &[&[f32]]) -> Vec<f32> {
        match self.transposed[place] {
            true => transpose(parameters[0], self.extents),
            false => parameters[0].to_vec(),
        }
    }
}

/// A parameter whose axes are stored in another order, perhaps under other extents.
#[derive(Clone, Debug)]
pub(super) struct Permuted {
    /// Extents of the stored values.
    pub extents: Vec<usize>,
    /// For each axis of the parameter, the axis of the stored values.
    pub order: Vec<usize>,
}

impl StorageMap for Permuted {
    fn parameters(&self, tensors: &[&[f32]]) -> Vec<Vec<f32>> {
        vec![permute(tensors[0], &self.extents, &self.order)]
    }

    fn tensor(&self, _: usize, parameters: &[&[f32]]) -> Vec<f32> {
        let extents: Vec<usize> = self.order.iter().map(|&axis| self.extents[axis]).collect();
        let mut inverse = vec![0; self.order.len()];
        for (axis, &stored) in self.order.iter().enumerate() {
            inverse[stored] = axis;
        }
        permute(parameters[0], &extents, &inverse)
    }
}

/// Values with their axes in another order: axis `order[n]` becomes axis `n`.
pub(super) fn permute<T: Copy>(values: &[T], extents: &[usize], order: &[usize]) -> Vec<T> {
    let stride = |axis: usize| extents[axis + 1..].iter().product::<usize>();
    let axes: Vec<[usize; 2]> = order.iter().map(|&axis| [extents[axis], stride(axis)]).collect();
    let mut places = vec![0];
    for [extent, stride] in axes {
        places = places
            .iter()
            .flat_map(|first| (0..extent).map(move |step| first + step * stride))
            .collect();
    }
    places.into_iter().map(|place| values[place]).collect()
}

/// The transpose of a rows × columns matrix.
pub fn transpose(values: &[f32], [rows, columns]: [usize; 2]) -> Vec<f32> {
    (0..columns)
        .flat_map(|column| (0..rows).map(move |row| values[row * columns + column]))
        .collect()
}
