//! Taking parts of a tensor by position.

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::{
    graph::{Constant, Fact, Node},
    kernels::Step,
};

use super::{
    Array, OpError, Operator, OperatorFamily, SlotRule,
    helpers::{
        around, array, axis, bad, folds, maybe, maybe_shape, named, output, required, static_ints,
    },
};

/// Integers of an array as a gather along one axis.
fn take_ints(data: &[i64], shape: &[usize], axis: usize, positions: &[usize]) -> Vec<i64> {
    let [outer, extent, inner] = around(shape, axis);
    let mut out = Vec::with_capacity(outer * positions.len() * inner);
    for block in 0..outer {
        for &position in positions {
            let start = (block * extent + position) * inner;
            out.extend_from_slice(&data[start..start + inner]);
        }
    }
    out
}
/// `Slice`: bounds as attributes before opset 10, as inputs since.
struct Slice;

/// Positions kept along one axis: `count` of them from `start` on, `step` apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    start: usize,
    step: i64,
    count: usize,
}

impl Run {
    /// Bounds count from the end if negative and are clamped to the axis.
    fn new(start: i64, end: i64, step: i64, extent: usize) -> Result<Self, OpError> {
        let length = i64::try_from(extent).unwrap_or(i64::MAX);
        let clamp = |value: i64, low: i64, high: i64| {
            let value = if value < 0 { value.saturating_add(length) } else { value };
            value.clamp(low, high)
        };
        let (start, span) = match step {
            1.. => {
                let (start, end) = (clamp(start, 0, length), clamp(end, 0, length));
                (start, end - start)
            }
            0 => return Err(OpError::Unsupported("a slice with step 0".to_owned())),
            _ => {
                let (start, end) = (clamp(start, -1, length - 1), clamp(end, -1, length - 1));
                (start, start - end)
            }
        };
        let count = span.max(0).unsigned_abs().div_ceil(step.unsigned_abs());
        Ok(Self { start: start.max(0) as usize, step, count: count as usize })
    }

    fn all(extent: usize) -> Self {
        Self { start: 0, step: 1, count: extent }
    }

    fn positions(self) -> Vec<usize> {
        let at = |index: usize| (self.start as i64 + self.step * index as i64) as usize;
        (0..self.count).map(at).collect()
    }
}

impl Slice {
    /// What is kept along every axis; `None` where a bound is computed.
    fn runs<'a>(
        node: &'a Node,
        shape: &[usize],
        input: impl Fn(usize) -> Option<Option<&'a [i64]>>,
    ) -> Result<Option<Vec<Run>>, OpError> {
        let missing = || OpError::Unsupported("a slice without starts and ends".to_owned());
        let (starts, ends, axes, steps) = if node.opset < 10 {
            let starts = node.attributes.ints("starts")?.ok_or_else(missing)?;
            let ends = node.attributes.ints("ends")?.ok_or_else(missing)?;
            (starts, ends, node.attributes.ints("axes")?, None)
        } else {
            let (Some(starts), Some(ends)) =
                (input(1).ok_or_else(missing)?, input(2).ok_or_else(missing)?)
            else {
                return Ok(None);
            };
            let (axes, steps) = (input(3), input(4));
            if axes == Some(None) || steps == Some(None) {
                return Ok(None);
            }
            (starts, ends, axes.flatten(), steps.flatten())
        };
        let mut runs: Vec<Run> = shape.iter().map(|&extent| Run::all(extent)).collect();
        for (index, (&start, &end)) in starts.iter().zip(ends).enumerate() {
            let along = match axes {
                Some(axes) => axis(*axes.get(index).ok_or_else(missing)?, shape.len())?,
                None if index < shape.len() => index,
                None => return Err(missing()),
            };
            let step = steps.map_or(1, |steps| steps.get(index).copied().unwrap_or(1));
            runs[along] = Run::new(start, end, step, shape[along])?;
        }
        Ok(Some(runs))
    }
}

impl Operator for Slice {
    fn op_type(&self) -> &'static str {
        "Slice"
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Shape
    }

    fn since(&self) -> &'static [i64] {
        &[1, 10, 11, 13]
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let x = required(inputs, 0)?;
        let Some(shape) = &x.shape else { return Ok(output(node, x.dtype, None)) };
        let given = |slot: usize| {
            inputs.get(slot).is_some_and(Option::is_some).then(|| static_ints(inputs, slot))
        };
        let Some(runs) = Self::runs(node, shape, given)? else {
            return Ok(output(node, x.dtype, None));
        };
        let result: Vec<usize> = runs.iter().map(|run| run.count).collect();
        let ints = x.value.as_ref().and_then(Constant::ints).filter(|_| shape.len() == 1);
        let value = ints.map(|data| Constant::Int {
            shape: result.clone(),
            data: take_ints(data, shape, 0, &runs[0].positions()),
        });
        Ok(named(node, 0, x.dtype, Some(result), value).into_iter().collect())
    }

    fn execute(
        &self,
        node: &Node,
        inputs: &[Option<Array>],
        device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let x = array(inputs, 0)?;
        let given = |slot: usize| maybe(inputs, slot).map(|value| value.ints(slot).ok());
        let computed = || OpError::Unsupported("bounds that are not integers".to_owned());
        let runs = Self::runs(node, x.shape(), given)?.ok_or_else(computed)?;
        let mut shape = x.shape().to_vec();
        let mut now = x.clone();
        for (along, &run) in runs.iter().enumerate() {
            if run == Run::all(shape[along]) {
                continue;
            }
            let positions = &run.positions();
            let blocks = around(&shape, along);
            let before = shape.clone();
            shape[along] = positions.len();
            now = match &now {
                Array::Int { data, .. } => Array::Int {
                    data: take_ints(data, &before, along, positions),
                    shape: shape.clone(),
                },
                Array::Float { .. } => {
                    let view: Tensor<3> = now.view(0, blocks)?;
                    Array::flat(select(view, 1, positions, device), shape.clone())
                }
            };
        }
        Ok(vec![now])
    }

    fn lower(&self, node: &Node, inputs: &[Option<Fact>]) -> Option<Step> {
        let shape = maybe_shape(inputs, 0)?;
        let given = |slot: usize| {
            inputs.get(slot).is_some_and(Option::is_some).then(|| static_ints(inputs, slot))
        };
        let runs = Self::runs(node, shape, given).ok()??;
        let (mut offset, mut strides) = (0, Vec::with_capacity(shape.len()));
        for (axis, run) in runs.iter().enumerate() {
            let stride = around(shape, axis)[2];
            offset += run.start * stride;
            strides.push(usize::try_from(run.step).ok()? * stride);
        }
        // A part of what may be the batch is no map of one image.
        (runs.first()?.count == shape[0] && shape[0] == 1).then_some(Step::View { offset, strides })
    }
}

/// Positions along an axis; contiguous ones by a view.
pub(super) fn select<const RANK: usize>(
    tensor: Tensor<RANK>,
    axis: usize,
    positions: &[usize],
    device: &Device,
) -> Tensor<RANK> {
    match positions {
        [first, rest @ ..]
            if rest.iter().enumerate().all(|(index, &at)| at == first + index + 1) =>
        {
            tensor.narrow(axis, *first, positions.len())
        }
        _ => {
            let indices: Vec<i32> = positions.iter().map(|&position| position as i32).collect();
            let data = TensorData::new(indices, [positions.len()]);
            tensor.select(axis, Tensor::<1, Int>::from_data(data, device))
        }
    }
}

/// `Gather` along one axis, indices known on the host.
struct Gather;

impl Gather {
    fn positions(indices: &[i64], extent: usize) -> Result<Vec<usize>, OpError> {
        indices
            .iter()
            .map(|&index| {
                axis(index, extent)
                    .map_err(|_| bad(1, format!("index {index} is outside of {extent}")))
            })
            .collect()
    }
}

impl Operator for Gather {
    fn op_type(&self) -> &'static str {
        "Gather"
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Shape
    }

    fn since(&self) -> &'static [i64] {
        &[1, 11, 13]
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let x = required(inputs, 0)?;
        let (Some(shape), Some(indices)) = (&x.shape, maybe_shape(inputs, 1)) else {
            return Ok(output(node, x.dtype, None));
        };
        let along = axis(node.attributes.int("axis", 0)?, shape.len())?;
        let result = [&shape[..along], indices, &shape[along + 1..]].concat();
        let value = match (x.value.as_ref().and_then(Constant::ints), static_ints(inputs, 1)) {
            (Some(data), Some(indices)) if folds(&result) => {
                let positions = Self::positions(indices, shape[along])?;
                let data = take_ints(data, shape, along, &positions);
                Some(Constant::Int { shape: result.clone(), data })
            }
            _ => None,
        };
        Ok(named(node, 0, x.dtype, Some(result), value).into_iter().collect())
    }

    fn slots(&self, _node: &Node, _inputs: &[Option<Fact>]) -> Result<Vec<SlotRule>, OpError> {
        // A table, such as the biases of relative positions.
        Ok(vec![SlotRule::free(0)])
    }

    fn execute(
        &self,
        node: &Node,
        inputs: &[Option<Array>],
        device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let (x, indices) = (array(inputs, 0)?, array(inputs, 1)?);
        let shape = x.shape();
        let along = axis(node.attributes.int("axis", 0)?, shape.len())?;
        let positions = Self::positions(indices.ints(1)?, shape[along])?;
        let result = [&shape[..along], indices.shape(), &shape[along + 1..]].concat();
        Ok(vec![match x {
            Array::Int { data, .. } => {
                Array::Int { data: take_ints(data, shape, along, &positions), shape: result }
            }
            Array::Float { .. } => {
                let view: Tensor<3> = x.view(0, around(shape, along))?;
                Array::flat(select(view, 1, &positions, device), result)
            }
        }])
    }

    fn lower(&self, node: &Node, inputs: &[Option<Fact>]) -> Option<Step> {
        let shape = maybe_shape(inputs, 0)?;
        let along = axis(node.attributes.int("axis", 0).ok()?, shape.len()).ok()?;
        let (&[index], []) = (static_ints(inputs, 1)?, maybe_shape(inputs, 1)?) else {
            return None;
        };
        let mut strides: Vec<usize> = (0..shape.len()).map(|axis| around(shape, axis)[2]).collect();
        let offset = axis(index, shape[along]).ok()? * strides.remove(along);
        // An axis of one may be that of the batch.
        (shape[along] > 1).then_some(Step::View { offset, strides })
    }
}

/// Every operator of this family.
pub(super) fn operators() -> Vec<Box<dyn Operator>> {
    vec![Box::new(Slice), Box::new(Gather)]
}
