//! Tensors as the graph sees them: element types, static facts, host values.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Element type of a tensor, `onnx.proto` `TensorProto.DataType`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DType {
    /// 32-bit float.
    #[default]
    F32,
    /// 64-bit float.
    F64,
    /// IEEE half precision.
    F16,
    /// bfloat16.
    BF16,
    /// Signed 8-bit integer.
    I8,
    /// Signed 16-bit integer.
    I16,
    /// Signed 32-bit integer.
    I32,
    /// Signed 64-bit integer.
    I64,
    /// Unsigned 8-bit integer.
    U8,
    /// Unsigned 16-bit integer.
    U16,
    /// Unsigned 32-bit integer.
    U32,
    /// Unsigned 64-bit integer.
    U64,
    /// Boolean, one byte each.
    Bool,
    /// A type this tool carries but does not compute with, by its ONNX number.
    Other(i32),
}

impl DType {
    /// `TensorProto.DataType.STRING`.
    pub const STRING: i32 = 8;

    /// From the number in `TensorProto.data_type`.
    pub fn from_onnx(number: i32) -> Self {
        match number {
            1 => Self::F32,
            2 => Self::U8,
            3 => Self::I8,
            4 => Self::U16,
            5 => Self::I16,
            6 => Self::I32,
            7 => Self::I64,
            9 => Self::Bool,
            10 => Self::F16,
            11 => Self::F64,
            12 => Self::U32,
            13 => Self::U64,
            16 => Self::BF16,
            other => Self::Other(other),
        }
    }

    /// The number in `TensorProto.data_type`.
    pub fn to_onnx(self) -> i32 {
        match self {
            Self::F32 => 1,
            Self::U8 => 2,
            Self::I8 => 3,
            Self::U16 => 4,
            Self::I16 => 5,
            Self::I32 => 6,
            Self::I64 => 7,
            Self::Bool => 9,
            Self::F16 => 10,
            Self::F64 => 11,
            Self::U32 => 12,
            Self::U64 => 13,
            Self::BF16 => 16,
            Self::Other(number) => number,
        }
    }

    /// Whether a predictor may write tensors of this type.
    pub fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F64 | Self::F16 | Self::BF16)
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Other(0) => write!(f, "sparse values"),
            Self::Other(Self::STRING) => write!(f, "strings"),
            Self::Other(number) => write!(f, "values of type number {number}"),
            dtype => write!(f, "{} values", format!("{dtype:?}").to_lowercase()),
        }
    }
}

/// A dense tensor of 32-bit floats on the host, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Extents, outermost first; empty for a scalar.
    pub shape: Vec<usize>,
    /// `shape.product()` values, row-major.
    pub data: Vec<f32>,
}

impl Tensor {
    /// A tensor filled with one value.
    pub fn full(shape: Vec<usize>, value: f32) -> Self {
        let length = shape.iter().product();
        Self { shape, data: vec![value; length] }
    }

    /// Whether it holds integers and infinities, as masks do and weights do not.
    pub fn is_integral(&self) -> bool {
        self.data.iter().all(|value| value.is_infinite() || value.fract() == 0.0)
    }

    /// Whether it may be added to attention scores to say which of them count: zero where they do, and so little where
    /// they do not that nothing is left of them (−100 in Swin).
    pub fn is_mask(&self) -> bool {
        !self.data.is_empty() && self.data.iter().all(|&value| value == 0.0 || value <= MASKED)
    }
}

/// Most that a mask adds to a score that does not count.
const MASKED: f32 = -50.0;

/// A tensor whose value is known when the graph is read: a constant, or folded shape arithmetic.
#[derive(Clone, Debug, PartialEq)]
pub enum Constant {
    /// Floating-point values, widened to `f32`.
    Float(Tensor),
    /// Integer and boolean values, widened to `i64`.
    Int {
        /// Extents, outermost first; empty for a scalar.
        shape: Vec<usize>,
        /// Row-major values.
        data: Vec<i64>,
    },
}

impl Constant {
    /// Extents, outermost first.
    pub fn shape(&self) -> &[usize] {
        match self {
            Self::Float(tensor) => &tensor.shape,
            Self::Int { shape, .. } => shape,
        }
    }

    /// The floating-point values, if these are floats.
    pub fn floats(&self) -> Option<&[f32]> {
        match self {
            Self::Float(tensor) => Some(&tensor.data),
            Self::Int { .. } => None,
        }
    }

    /// The integer values, if these are integers.
    pub fn ints(&self) -> Option<&[i64]> {
        match self {
            Self::Int { data, .. } => Some(data),
            Self::Float(_) => None,
        }
    }
}

/// What is known statically about one value of the graph.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fact {
    /// The exact ONNX value name; unique in the graph, never renamed.
    pub name: String,
    /// Element type, if known.
    pub dtype: Option<DType>,
    /// Extents with every symbol bound, if known.
    pub shape: Option<Vec<usize>>,
    /// The value itself where it does not depend on inputs or parameters (small tensors only).
    pub value: Option<Constant>,
}
