//! Run-time values of any rank on a burn device.

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::graph::{self, Constant, DType, Fact};

use super::{
    OpError,
    strides::{positions, strides},
};

/// A value while a graph runs: floats on the device, integers (shape arithmetic) on the host.
/// Floats are kept flat; operators view them at the rank they compute in.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all arrays are floats")]
pub enum Array {
    /// Floats on the device.
    Float {
        /// All values, row-major.
        flat: Tensor<1>,
        /// Extents.
        shape: Vec<usize>,
    },
    /// Integers and booleans on the host.
    Int {
        /// Extents.
        shape: Vec<usize>,
        /// Row-major values.
        data: Vec<i64>,
    },
}

impl Array {
    /// Uploads a tensor.
    pub fn upload(tensor: &graph::Tensor, device: &Device) -> Self {
        let data = TensorData::new(tensor.data.clone(), [tensor.data.len()]);
        Self::Float { flat: Tensor::from_data(data, device), shape: tensor.shape.clone() }
    }

    /// A constant of the graph.
    pub fn constant(constant: &Constant, device: &Device) -> Self {
        match constant {
            Constant::Float(tensor) => Self::upload(tensor, device),
            Constant::Int { shape, data } => Self::Int { shape: shape.clone(), data: data.clone() },
        }
    }

    /// As a constant of the graph.
    pub fn into_constant(self) -> Constant {
        match self {
            Self::Float { .. } => {
                let shape = self.shape().to_vec();
                Constant::Float(graph::Tensor { data: self.download(), shape })
            }
            Self::Int { shape, data } => Constant::Int { shape, data },
        }
    }

    /// From a tensor of a fixed rank.
    pub fn of<const D: usize>(tensor: Tensor<D>) -> Self {
        let shape = tensor.dims().to_vec();
        Self::flat(tensor, shape)
    }

    /// From a tensor whose values have the given extents.
    pub fn flat<const D: usize>(tensor: Tensor<D>, shape: Vec<usize>) -> Self {
        let length: usize = shape.iter().product();
        Self::Float { flat: tensor.reshape([length]), shape }
    }

    /// What is known about the value before anything is computed with it.
    pub fn fact(&self) -> Fact {
        let (dtype, value) = match self {
            Self::Float { .. } => (DType::F32, None),
            Self::Int { shape, data } => {
                let value = Constant::Int { shape: shape.clone(), data: data.clone() };
                (DType::I64, Some(value))
            }
        };
        let shape = Some(self.shape().to_vec());
        Fact { name: String::new(), dtype: Some(dtype), shape, value }
    }

    /// Extents.
    pub fn shape(&self) -> &[usize] {
        match self {
            Self::Float { shape, .. } | Self::Int { shape, .. } => shape,
        }
    }

    /// The same values at other extents, of which there must be as many.
    pub fn renamed(self, shape: Vec<usize>) -> Self {
        match self {
            Self::Float { flat, .. } => Self::Float { flat, shape },
            Self::Int { data, .. } => Self::Int { shape, data },
        }
    }

    /// The flat floats of input `input`.
    pub fn floats(&self, input: usize) -> Result<Tensor<1>, OpError> {
        match self {
            Self::Float { flat, .. } => Ok(flat.clone()),
            Self::Int { .. } => {
                Err(OpError::Input { input, problem: "is not a tensor of floats".to_owned() })
            }
        }
    }

    /// The floats at a fixed rank and shape.
    pub fn view<const D: usize>(
        &self,
        input: usize,
        shape: [usize; D],
    ) -> Result<Tensor<D>, OpError> {
        Ok(self.floats(input)?.reshape(shape))
    }

    /// The floats at rank `D`; leading extents of one are added, other ranks are an error.
    pub fn rank<const D: usize>(&self, input: usize) -> Result<Tensor<D>, OpError> {
        let own = self.shape();
        if own.len() > D {
            let problem = format!("has rank {}, at most {D} is supported", own.len());
            return Err(OpError::Input { input, problem });
        }
        let mut shape = [1; D];
        shape[D - own.len()..].copy_from_slice(own);
        self.view(input, shape)
    }

    /// The values at flat positions, under new extents: any gathering of single values.
    pub fn at(&self, positions: &[usize], shape: Vec<usize>) -> Self {
        match self {
            Self::Int { data, .. } => {
                Self::Int { shape, data: positions.iter().map(|&at| data[at]).collect() }
            }
            Self::Float { flat, .. } => {
                let indices: Vec<i32> = positions.iter().map(|&at| at as i32).collect();
                let indices = TensorData::new(indices, [positions.len()]);
                let indices = Tensor::<1, Int>::from_data(indices, &flat.device());
                Self::Float { flat: flat.clone().select(0, indices), shape }
            }
        }
    }

    /// The values of two arrays of one kind in a row.
    pub fn followed_by(&self, other: &Self) -> Result<Self, OpError> {
        match (self, other) {
            (Self::Float { flat: a, .. }, Self::Float { flat: b, .. }) => {
                Ok(Self::of(Tensor::cat(vec![a.clone(), b.clone()], 0)))
            }
            (Self::Int { data: a, .. }, Self::Int { data: b, .. }) => {
                Ok(Self::Int { shape: vec![a.len() + b.len()], data: [&a[..], b].concat() })
            }
            _ => Err(OpError::Unsupported("integers among floats".to_owned())),
        }
    }

    /// The axes in another order.
    pub fn permuted(&self, axes: &[usize]) -> Result<Self, OpError> {
        /// Arrays are permuted at this rank.
        const RANK: usize = 8;
        let shape: Vec<usize> = axes.iter().map(|&axis| self.shape()[axis]).collect();
        if let Self::Int { .. } = self {
            let strides = strides(self.shape());
            let strides: Vec<usize> = axes.iter().map(|&axis| strides[axis]).collect();
            return Ok(self.at(&positions(&shape, &strides), shape));
        }
        let view: Tensor<RANK> = self.rank(0)?;
        let lead = RANK - axes.len();
        let full: [isize; RANK] = std::array::from_fn(|index| match index.checked_sub(lead) {
            Some(index) => (axes[index] + lead) as isize,
            None => index as isize,
        });
        Ok(Self::flat(view.permute(full), shape))
    }

    /// The integers of input `input`.
    pub fn ints(&self, input: usize) -> Result<&[i64], OpError> {
        match self {
            Self::Int { data, .. } => Ok(data),
            Self::Float { .. } => {
                Err(OpError::Input { input, problem: "is not a tensor of integers".to_owned() })
            }
        }
    }

    /// Downloads the values as floats.
    pub fn download(&self) -> Vec<f32> {
        match self {
            Self::Float { flat, .. } => crate::tensor_data::download(flat.clone()),
            Self::Int { data, .. } => data.iter().map(|&value| value as f32).collect(),
        }
    }
}
