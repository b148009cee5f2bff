//! Sequences of numbers along an axis.

use burn::tensor::{Device, Tensor, TensorData};

use crate::graph::{self, Constant, DType, Fact, Node};

use super::{
    Array, OpError, Operator, OperatorFamily,
    helpers::{around, array, axis, bad, bounded, folds, named, output, required, static_ints},
};

/// `Range` from a start, below a limit, by a step.
struct Range;

impl Range {
    fn ints([start, limit, step]: [i64; 3]) -> Result<Vec<i64>, OpError> {
        let span = i128::from(limit) - i128::from(start);
        let count = match i128::from(step) {
            0 => return Err(OpError::Unsupported("a range with step 0".to_owned())),
            step => (span + step - step.signum()) / step,
        };
        let count = usize::try_from(count.max(0)).unwrap_or(usize::MAX);
        Self::bounded(count)?;
        // Every product is the difference of two numbers that fit.
        let at = |index: i64| start.wrapping_add(index.wrapping_mul(step));
        Ok((0..count as i64).map(at).collect())
    }

    fn bounded(count: usize) -> Result<(), OpError> {
        match folds(&[count]) {
            true => Ok(()),
            false => Err(OpError::Unsupported(format!("a range of {count} numbers"))),
        }
    }
}

impl Operator for Range {
    fn op_type(&self) -> &'static str {
        "Range"
    }

    fn since(&self) -> &'static [i64] {
        &[11]
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Constant
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let dtype = required(inputs, 0)?.dtype;
        let single = |input: usize| static_ints(inputs, input)?.first().copied();
        let value = match (single(0), single(1), single(2)) {
            (Some(start), Some(limit), Some(step)) => {
                let data = Self::ints([start, limit, step])?;
                Some(Constant::Int { shape: vec![data.len()], data })
            }
            _ => None,
        };
        let shape = value.as_ref().map(|value| value.shape().to_vec());
        Ok(named(node, 0, dtype, shape, value).into_iter().collect())
    }

    fn execute(
        &self,
        _node: &Node,
        inputs: &[Option<Array>],
        device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        if let Array::Int { .. } = array(inputs, 0)? {
            let single = |input: usize| -> Result<i64, OpError> {
                Ok(array(inputs, input)?.ints(input)?.first().copied().unwrap_or(0))
            };
            let data = Self::ints([single(0)?, single(1)?, single(2)?])?;
            return Ok(vec![Array::Int { shape: vec![data.len()], data }]);
        }
        let single = |input: usize| -> Result<f32, OpError> {
            Ok(array(inputs, input)?.download().first().copied().unwrap_or(0.0))
        };
        let (start, limit, step) = (single(0)?, single(1)?, single(2)?);
        // A step of zero or no number makes more than any bound.
        let count = ((limit - start) / step).ceil().max(0.0);
        let count = if count.is_finite() { count as usize } else { usize::MAX };
        Self::bounded(count)?;
        let data: Vec<f32> = (0..count).map(|index| start + index as f32 * step).collect();
        Ok(vec![Array::upload(&graph::Tensor { shape: vec![count], data }, device)])
    }
}

/// `EyeLike`: ones on a diagonal of a matrix of the input's shape.
struct EyeLike;

impl EyeLike {
    fn value(node: &Node, shape: &[usize]) -> Result<(DType, Constant), OpError> {
        let &[rows, columns] = shape else { return Err(bad(0, "is no matrix")) };
        if !folds(shape) {
            return Err(OpError::Unsupported(format!("a diagonal of shape {shape:?}")));
        }
        let shift = node.attributes.int("k", 0)?;
        let on = |at: usize| ((at % columns) as i64).saturating_sub((at / columns) as i64) == shift;
        let dtype = DType::from_onnx(node.attributes.int("dtype", 1)? as i32);
        let ones = (0..rows * columns).map(on);
        Ok((
            dtype,
            match dtype {
                DType::F32 | DType::F64 => Constant::Float(graph::Tensor {
                    shape: shape.to_vec(),
                    data: ones.map(|one| f32::from(u8::from(one))).collect(),
                }),
                DType::I32 | DType::I64 | DType::Bool => {
                    Constant::Int { shape: shape.to_vec(), data: ones.map(i64::from).collect() }
                }
                other => return Err(OpError::Unsupported(format!("a diagonal of {other}"))),
            },
        ))
    }
}

impl Operator for EyeLike {
    fn op_type(&self) -> &'static str {
        "EyeLike"
    }

    fn since(&self) -> &'static [i64] {
        &[9, 22]
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Constant
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let Some(shape) = &required(inputs, 0)?.shape else { return Ok(output(node, None, None)) };
        let (dtype, value) = Self::value(node, shape)?;
        Ok(named(node, 0, Some(dtype), Some(shape.clone()), Some(value)).into_iter().collect())
    }

    fn execute(
        &self,
        node: &Node,
        inputs: &[Option<Array>],
        device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let (_, value) = Self::value(node, array(inputs, 0)?.shape())?;
        Ok(vec![Array::constant(&value, device)])
    }
}

/// `CumSum` along a known axis.
struct CumSum;

impl Operator for CumSum {
    fn op_type(&self) -> &'static str {
        "CumSum"
    }

    fn since(&self) -> &'static [i64] {
        &[11, 14]
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Reduction
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let x = required(inputs, 0)?;
        Ok(output(node, x.dtype, x.shape.clone()))
    }

    fn execute(
        &self,
        node: &Node,
        inputs: &[Option<Array>],
        device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let x = array(inputs, 0)?;
        let shape = x.shape().to_vec();
        let along = array(inputs, 1)?.ints(1)?.first().copied().unwrap_or(0);
        let [outer, extent, inner] = around(&shape, axis(along, shape.len())?);
        let reverse = node.attributes.int("reverse", 0)? != 0;
        let exclusive = node.attributes.int("exclusive", 0)? != 0;
        if let Array::Int { data, .. } = x {
            let mut sums = vec![0i64; data.len()];
            for lane in 0..outer * inner {
                let at = |place: usize| (lane / inner * extent + place) * inner + lane % inner;
                let mut sum = 0i64;
                for step in 0..extent {
                    let at = at(if reverse { extent - 1 - step } else { step });
                    let before = sum;
                    sum = sum.wrapping_add(data[at]);
                    sums[at] = if exclusive { before } else { sum };
                }
            }
            return Ok(vec![Array::Int { shape, data: sums }]);
        }
        bounded(&[extent, extent])?;
        // Whether the value at one place enters the sum at another.
        let enters = |to: usize, from: usize| {
            let (from, to) = if reverse { (to, from) } else { (from, to) };
            from < to || (from == to && !exclusive)
        };
        let triangle: Vec<f32> = (0..extent * extent)
            .map(|index| f32::from(u8::from(enters(index / extent, index % extent))))
            .collect();
        let triangle = TensorData::new(triangle, [1, extent, extent]);
        let triangle = Tensor::<3>::from_data(triangle, device);
        Ok(vec![Array::flat(triangle.matmul(x.view(0, [outer, extent, inner])?), shape)])
    }
}

/// Every operator of this family.
pub(super) fn operators() -> Vec<Box<dyn Operator>> {
    vec![Box::new(EyeLike), Box::new(Range), Box::new(CumSum)]
}
