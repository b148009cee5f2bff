//! Joining and cutting tensors.

use burn::tensor::{Device, Tensor, ops::PadMode};

use crate::{
    graph::{Constant, Fact, Node},
    kernels::Step,
};

use super::{
    Array, OpError, Operator,
    helpers::{array, axis, bad, maybe, maybe_shape, named, output, required, static_ints},
};

/// The values around an axis: product of the extents before it, its own, product after.
fn around(shape: &[usize], axis: usize) -> [usize; 3] {
    [shape[..axis].iter().product(), shape[axis], shape[axis + 1..].iter().product()]
}

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

/// `Concat`.
struct Concat;

impl Operator for Concat {
    fn op_type(&self) -> &'static str {
        "Concat"
    }

    fn since(&self) -> &'static [i64] {
        &[1, 4, 11, 13]
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let first = required(inputs, 0)?;
        let Some(mut shape) = first.shape.clone() else { return Ok(output(node, first.dtype, None)) };
        let along = axis(node.attributes.int("axis", 1)?, shape.len())?;
        for (index, input) in inputs.iter().enumerate().skip(1) {
            let Some(part) = input.as_ref().and_then(|fact| fact.shape.as_deref()) else {
                return Ok(output(node, first.dtype, None));
            };
            let fits = part.len() == shape.len()
                && (0..shape.len()).all(|axis| axis == along || part[axis] == shape[axis]);
            if !fits {
                return Err(bad(index, format!("shape {part:?} does not join {shape:?} along axis {along}")));
            }
            shape[along] += part[along];
        }
        let values: Option<Vec<&[i64]>> =
            inputs.iter().map(|input| input.as_ref()?.value.as_ref()?.ints()).collect();
        let value = values.filter(|_| shape.len() == 1).map(|parts| Constant::Int {
            shape: shape.clone(),
            data: parts.concat(),
        });
        Ok(named(node, 0, first.dtype, Some(shape), value).into_iter().collect())
    }

    fn execute(&self, node: &Node, inputs: &[Option<Array>], _device: &Device) -> Result<Vec<Array>, OpError> {
        let first = array(inputs, 0)?;
        let mut shape = first.shape().to_vec();
        let along = axis(node.attributes.int("axis", 1)?, shape.len())?;
        shape[along] = 0;
        let mut parts: Vec<Tensor<3>> = Vec::new();
        let mut ints = Vec::new();
        for (index, input) in inputs.iter().enumerate() {
            let part = array(inputs, index)?;
            shape[along] += part.shape()[along];
            match (first, input) {
                (Array::Int { .. }, Some(part)) if part.shape().len() == 1 => ints.extend(part.ints(index)?),
                (Array::Int { .. }, _) => {
                    return Err(OpError::Unsupported("joining integer matrices".to_owned()));
                }
                _ => parts.push(part.view(index, around(part.shape(), along))?),
            }
        }
        match first {
            Array::Int { .. } => Ok(vec![Array::Int { shape, data: ints }]),
            Array::Float { .. } => Ok(vec![Array::flat(Tensor::cat(parts, 1), shape)]),
        }
    }

    fn lower(&self, node: &Node, inputs: &[Option<Fact>]) -> Option<Step> {
        let rank = maybe_shape(inputs, 0)?.len();
        let channels = axis(node.attributes.int("axis", 1).ok()?, rank).ok()? == 1;
        let data = inputs.iter().flatten().all(|fact| fact.value.is_none());
        (channels && data && matches!(rank, 2 | 4)).then_some(Step::Concat)
    }
}

/// `Split`: lengths as an attribute, as an input, or equal parts.
struct Split;

impl Split {
    fn lengths(node: &Node, given: Option<&[i64]>, extent: usize) -> Result<Vec<usize>, OpError> {
        let given = given.or(node.attributes.ints("split")?);
        let lengths: Vec<usize> = match given {
            Some(lengths) => lengths.iter().map(|&length| length.max(0) as usize).collect(),
            None => {
                let parts = node.outputs.len().max(1);
                let size = extent.div_ceil(parts);
                (0..parts).map(|part| size.min(extent.saturating_sub(part * size))).collect()
            }
        };
        if lengths.iter().sum::<usize>() != extent || lengths.len() != node.outputs.len() {
            return Err(OpError::Unsupported(format!("cutting {extent} into {lengths:?}")));
        }
        Ok(lengths)
    }
}

impl Operator for Split {
    fn op_type(&self) -> &'static str {
        "Split"
    }

    fn since(&self) -> &'static [i64] {
        &[1, 2, 11, 13, 18]
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let x = required(inputs, 0)?;
        let computed = inputs.get(1).is_some_and(Option::is_some) && static_ints(inputs, 1).is_none();
        let shapes: Vec<Option<Vec<usize>>> = match &x.shape {
            Some(shape) if !computed => {
                let along = axis(node.attributes.int("axis", 0)?, shape.len())?;
                let lengths = Self::lengths(node, static_ints(inputs, 1), shape[along])?;
                lengths
                    .into_iter()
                    .map(|length| {
                        let mut shape = shape.clone();
                        shape[along] = length;
                        Some(shape)
                    })
                    .collect()
            }
            _ => vec![None; node.outputs.len()],
        };
        let facts = shapes.into_iter().enumerate();
        Ok(facts.filter_map(|(slot, shape)| named(node, slot, x.dtype, shape, None)).collect())
    }

    fn execute(&self, node: &Node, inputs: &[Option<Array>], _device: &Device) -> Result<Vec<Array>, OpError> {
        let x = array(inputs, 0)?;
        let along = axis(node.attributes.int("axis", 0)?, x.shape().len())?;
        let given = maybe(inputs, 1).map(|lengths| lengths.ints(1)).transpose()?;
        let lengths = Self::lengths(node, given, x.shape()[along])?;
        let view: Tensor<3> = x.view(0, around(x.shape(), along))?;
        let mut start = 0;
        let mut parts = Vec::new();
        for length in lengths {
            let mut shape = x.shape().to_vec();
            shape[along] = length;
            parts.push(Array::flat(view.clone().narrow(1, start, length), shape));
            start += length;
        }
        Ok(parts)
    }
}

/// `Slice`: bounds as attributes before opset 10, as inputs since.
struct Slice;

/// Positions kept along each axis.
type Kept = Vec<Vec<usize>>;

impl Slice {
    /// `None` where a bound is computed.
    fn kept<'a>(
        node: &'a Node,
        shape: &[usize],
        input: impl Fn(usize) -> Option<Option<&'a [i64]>>,
    ) -> Result<Option<Kept>, OpError> {
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
        let mut kept: Kept = shape.iter().map(|&extent| (0..extent).collect()).collect();
        for (index, (&start, &end)) in starts.iter().zip(ends).enumerate() {
            let along = match axes {
                Some(axes) => axis(*axes.get(index).ok_or_else(missing)?, shape.len())?,
                None if index < shape.len() => index,
                None => return Err(missing()),
            };
            let step = steps.map_or(1, |steps| steps.get(index).copied().unwrap_or(1));
            let extent = shape[along] as i64;
            let clamp = |value: i64, low: i64, high: i64| {
                let value = if value < 0 { value.saturating_add(extent) } else { value };
                value.clamp(low, high)
            };
            kept[along] = match step {
                1.. => (clamp(start, 0, extent)..clamp(end, 0, extent))
                    .step_by(step as usize)
                    .map(|position| position as usize)
                    .collect(),
                0 => return Err(OpError::Unsupported("a slice with step 0".to_owned())),
                _ => {
                    let (from, to) = (clamp(start, -1, extent - 1), clamp(end, -1, extent - 1));
                    let back = (to + 1..=from).rev();
                    back.step_by(step.unsigned_abs() as usize).map(|position| position as usize).collect()
                }
            };
        }
        Ok(Some(kept))
    }
}

impl Operator for Slice {
    fn op_type(&self) -> &'static str {
        "Slice"
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
        let Some(kept) = Self::kept(node, shape, given)? else { return Ok(output(node, x.dtype, None)) };
        let result: Vec<usize> = kept.iter().map(Vec::len).collect();
        let ints = x.value.as_ref().and_then(Constant::ints).filter(|_| shape.len() == 1);
        let value = ints.map(|data| Constant::Int {
            shape: result.clone(),
            data: take_ints(data, shape, 0, &kept[0]),
        });
        Ok(named(node, 0, x.dtype, Some(result), value).into_iter().collect())
    }

    fn execute(&self, node: &Node, inputs: &[Option<Array>], device: &Device) -> Result<Vec<Array>, OpError> {
        let x = array(inputs, 0)?;
        let given = |slot: usize| maybe(inputs, slot).map(|value| value.ints(slot).ok());
        let computed = || OpError::Unsupported("bounds that are not integers".to_owned());
        let kept = Self::kept(node, x.shape(), given)?.ok_or_else(computed)?;
        let mut shape = x.shape().to_vec();
        let mut now = x.clone();
        for (along, positions) in kept.iter().enumerate() {
            if positions.len() == shape[along] && positions.is_sorted() {
                continue;
            }
            let blocks = around(&shape, along);
            let before = shape.clone();
            shape[along] = positions.len();
            now = match &now {
                Array::Int { data, .. } => {
                    Array::Int { data: take_ints(data, &before, along, positions), shape: shape.clone() }
                }
                Array::Float { .. } => {
                    let view: Tensor<3> = now.view(0, blocks)?;
                    Array::flat(select(view, positions, device), shape.clone())
                }
            };
        }
        Ok(vec![now])
    }
}

/// Positions along the middle axis; contiguous ones by a view.
fn select(view: Tensor<3>, positions: &[usize], device: &Device) -> Tensor<3> {
    match positions {
        [first, rest @ ..] if rest.iter().enumerate().all(|(index, &at)| at == first + index + 1) => {
            view.narrow(1, *first, positions.len())
        }
        _ => {
            let indices: Vec<i32> = positions.iter().map(|&position| position as i32).collect();
            view.select(1, burn::tensor::Tensor::<1, burn::tensor::Int>::from_data(
                burn::tensor::TensorData::new(indices, [positions.len()]),
                device,
            ))
        }
    }
}

/// `Gather` along one axis, indices known on the host.
struct Gather;

impl Gather {
    fn positions(indices: &[i64], extent: usize) -> Result<Vec<usize>, OpError> {
        indices
            .iter()
            .map(|&index| axis(index, extent).map_err(|_| bad(1, format!("index {index} is outside of {extent}"))))
            .collect()
    }
}

impl Operator for Gather {
    fn op_type(&self) -> &'static str {
        "Gather"
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
            (Some(data), Some(indices)) => {
                let positions = Self::positions(indices, shape[along])?;
                let data = take_ints(data, shape, along, &positions);
                Some(Constant::Int { shape: result.clone(), data })
            }
            _ => None,
        };
        Ok(named(node, 0, x.dtype, Some(result), value).into_iter().collect())
    }

    fn execute(&self, node: &Node, inputs: &[Option<Array>], device: &Device) -> Result<Vec<Array>, OpError> {
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
                Array::flat(select(view, &positions, device), result)
            }
        }])
    }
}

/// `Pad` with a constant: pads as an attribute before opset 11, as an input since.
struct Pad;

/// Arrays are padded at this rank.
const RANK: usize = 6;

impl Pad {
    fn pads<'a>(node: &'a Node, given: Option<&'a [i64]>, rank: usize) -> Result<Option<Vec<(usize, usize)>>, OpError> {
        match node.attributes.string("mode", "constant")? {
            "constant" => {}
            mode => return Err(OpError::Unsupported(format!("mode '{mode}'"))),
        }
        let pads = match (given, node.opset) {
            (Some(pads), _) => Some(pads),
            (None, ..2) => node.attributes.ints("paddings")?,
            (None, 2..11) => node.attributes.ints("pads")?,
            _ => return Ok(None),
        };
        let pads: Option<Vec<usize>> = pads
            .and_then(|pads| pads.iter().map(|&pad| usize::try_from(pad).ok()).collect());
        let pads = pads.filter(|pads| pads.len() == 2 * rank);
        let wrong = || OpError::Unsupported("pads that are negative or not two per axis".to_owned());
        let pads = pads.ok_or_else(wrong)?;
        Ok(Some((0..rank).map(|axis| (pads[axis], pads[axis + rank])).collect()))
    }
}

impl Operator for Pad {
    fn op_type(&self) -> &'static str {
        "Pad"
    }

    fn since(&self) -> &'static [i64] {
        &[1, 2, 11, 13, 18, 19, 21]
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let x = required(inputs, 0)?;
        let Some(shape) = &x.shape else { return Ok(output(node, x.dtype, None)) };
        if inputs.get(3).is_some_and(Option::is_some) {
            return Err(OpError::Unsupported("pads of chosen axes".to_owned()));
        }
        let pads = Self::pads(node, static_ints(inputs, 1), shape.len())?;
        let shape = pads.map(|pads| {
            shape.iter().zip(pads).map(|(&extent, (before, after))| extent.saturating_add(before).saturating_add(after)).collect()
        });
        Ok(output(node, x.dtype, shape))
    }

    fn execute(&self, node: &Node, inputs: &[Option<Array>], _device: &Device) -> Result<Vec<Array>, OpError> {
        let x = array(inputs, 0)?;
        let shape = x.shape();
        let given = maybe(inputs, 1).map(|pads| pads.ints(1)).transpose()?;
        let missing = || bad(1, "is missing");
        let pads = Self::pads(node, given, shape.len())?.ok_or_else(missing)?;
        let value = match maybe(inputs, 2) {
            Some(value) => value.download().first().copied().unwrap_or(0.0),
            None => node.attributes.float("value", 0.0)?,
        };
        let result: Vec<usize> =
            shape.iter().zip(&pads).map(|(&extent, &(before, after))| extent + before + after).collect();
        let mut around = [(0, 0); RANK];
        let lead = RANK.checked_sub(shape.len()).ok_or_else(|| bad(0, "has more than 6 axes"))?;
        around[lead..].copy_from_slice(&pads);
        let view: Tensor<RANK> = x.rank(0)?;
        Ok(vec![Array::flat(view.pad(around, PadMode::Constant(value)), result)])
    }
}

/// Every operator of this family.
pub(super) fn operators() -> Vec<Box<dyn Operator>> {
    vec![
        Box::new(Concat),
        Box::new(Split),
        Box::new(Slice),
        Box::new(Gather),
        Box::new(Pad),
    ]
}
