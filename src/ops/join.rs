//! Joining and cutting tensors.

use burn::tensor::{Device, Tensor};

use crate::{
    graph::{Constant, Fact, Node},
    kernels::Step,
};

use super::{
    Array, OpError, Operator, OperatorFamily, SlotRule,
    helpers::{
        around, array, axis, bad, folds, is_computed, maybe_ints, maybe_shape, named, output,
        required, static_ints,
    },
};
/// `Concat`.
struct Concat;

impl Operator for Concat {
    fn op_type(&self) -> &'static str {
        "Concat"
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Shape
    }

    fn since(&self) -> &'static [i64] {
        &[1, 4, 11, 13]
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let first = required(inputs, 0)?;
        let Some(mut shape) = first.shape.clone() else {
            return Ok(output(node, first.dtype, None));
        };
        let along = axis(node.attributes.int("axis", 1)?, shape.len())?;
        for (index, input) in inputs.iter().enumerate().skip(1) {
            let Some(part) = input.as_ref().and_then(|fact| fact.shape.as_deref()) else {
                return Ok(output(node, first.dtype, None));
            };
            let fits = part.len() == shape.len()
                && (0..shape.len()).all(|axis| axis == along || part[axis] == shape[axis]);
            if !fits {
                return Err(bad(
                    index,
                    format!("shape {part:?} does not join {shape:?} along axis {along}"),
                ));
            }
            shape[along] += part[along];
        }
        let values: Option<Vec<&[i64]>> =
            inputs.iter().map(|input| input.as_ref()?.value.as_ref()?.ints()).collect();
        let value = values
            .filter(|_| shape.len() == 1 && folds(&shape))
            .map(|parts| Constant::Int { shape: shape.clone(), data: parts.concat() });
        Ok(named(node, 0, first.dtype, Some(shape), value).into_iter().collect())
    }

    fn slots(&self, _node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<SlotRule>, OpError> {
        // A class token, before the other tokens.
        Ok((0..inputs.len()).map(SlotRule::free).collect())
    }

    fn execute(
        &self,
        node: &Node,
        inputs: &[Option<Array>],
        _device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let first = array(inputs, 0)?;
        let mut shape = first.shape().to_vec();
        let along = axis(node.attributes.int("axis", 1)?, shape.len())?;
        shape[along] = 0;
        let mut parts: Vec<Tensor<3>> = Vec::new();
        let mut ints = Vec::new();
        for index in 0..inputs.len() {
            let part = array(inputs, index)?;
            shape[along] += part.shape()[along];
            match first {
                Array::Int { .. } => ints.push((part.ints(index)?, around(part.shape(), along))),
                Array::Float { .. } => parts.push(part.view(index, around(part.shape(), along))?),
            }
        }
        match first {
            Array::Int { .. } => {
                let mut data = Vec::new();
                for row in 0..shape[..along].iter().product() {
                    for (part, [_, extent, inner]) in &ints {
                        let length = extent * inner;
                        data.extend_from_slice(&part[row * length..(row + 1) * length]);
                    }
                }
                Ok(vec![Array::Int { shape, data }])
            }
            Array::Float { .. } => Ok(vec![Array::flat(Tensor::cat(parts, 1), shape)]),
        }
    }

    fn lower(&self, node: &Node, inputs: &[Option<Fact>]) -> Option<Step> {
        let rank = maybe_shape(inputs, 0)?.len();
        let axis = axis(node.attributes.int("axis", 1).ok()?, rank).ok()?;
        let data = inputs.iter().flatten().all(|fact| fact.value.is_none());
        data.then_some(Step::Concat { axis })
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

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Shape
    }

    fn since(&self) -> &'static [i64] {
        &[1, 2, 11, 13, 18]
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let x = required(inputs, 0)?;
        let shapes: Vec<Option<Vec<usize>>> = match &x.shape {
            Some(shape) if !is_computed(inputs, 1) => {
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

    fn execute(
        &self,
        node: &Node,
        inputs: &[Option<Array>],
        _device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let x = array(inputs, 0)?;
        let along = axis(node.attributes.int("axis", 0)?, x.shape().len())?;
        let given = maybe_ints(inputs, 1)?;
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

    fn lower(&self, node: &Node, inputs: &[Option<Fact>]) -> Option<Step> {
        let rank = maybe_shape(inputs, 0)?.len();
        Some(Step::Split { axis: axis(node.attributes.int("axis", 0).ok()?, rank).ok()? })
    }
}

/// Every operator of this family.
pub(super) fn operators() -> Vec<Box<dyn Operator>> {
    vec![Box::new(Concat), Box::new(Split)]
}
