//! Normalisations over a batch, groups of channels, or trailing axes.

use std::ops::Range;

use burn::tensor::{Device, Tensor};

use crate::{
    graph::{Fact, Layout, Node, Role},
    kernels::Step,
};

use super::{
    Array, OpError, Operator, OperatorFamily, Passage, SlotRule,
    helpers::{array, axis, bad, maybe, maybe_shape, named, output, required},
};

fn vector(input: usize, role: Role, channels: Option<usize>) -> SlotRule {
    SlotRule {
        input,
        role,
        layout: Layout::Vector,
        groups: 1,
        fan_in: Some(1),
        shape: channels.map(|channels| vec![channels]),
    }
}

fn channels(inputs: &[Option<Fact>]) -> Option<usize> {
    maybe_shape(inputs, 0).and_then(|shape| shape.get(1).copied())
}

/// The values as `[batch, channels, everything else]`.
fn planes(x: &Array) -> Result<Tensor<3>, OpError> {
    let shape = x.shape();
    if shape.len() < 2 {
        return Err(bad(0, format!("shape {shape:?} has no channel axis")));
    }
    x.view(0, [shape[0], shape[1], shape[2..].iter().product()])
}

/// A vector of one value per channel, to be broadcast over [`planes`].
fn per_channel(inputs: &[Option<Array>], input: usize, count: usize) -> Result<Tensor<3>, OpError> {
    let vector = array(inputs, input)?;
    if vector.shape().iter().product::<usize>() != count {
        let shape = vector.shape();
        return Err(bad(input, format!("shape {shape:?} is not one value per channel ({count})")));
    }
    vector.view(input, [1, count, 1])
}

/// Checks that parameters, where their shapes are known, hold `length` values.
fn lengths(
    inputs: &[Option<Fact>],
    parameters: std::ops::Range<usize>,
    length: Option<usize>,
) -> Result<(), OpError> {
    for input in parameters {
        let (Some(shape), Some(length)) = (maybe_shape(inputs, input), length) else { continue };
        if shape.iter().product::<usize>() != length {
            return Err(bad(input, format!("shape {shape:?} does not hold {length} values")));
        }
    }
    Ok(())
}

/// (x − mean) / √(variance + ε) over the last axis, biased variance.
fn standardise<const D: usize>(x: Tensor<D>, epsilon: f32) -> Tensor<D> {
    let centred = x.clone() - x.mean_dim(D - 1);
    let variance = centred.clone().powf_scalar(2.0).mean_dim(D - 1);
    centred / (variance + epsilon).sqrt()
}

/// `BatchNormalization` in inference mode: x, gain, shift, mean, variance.
struct BatchNormalization;

impl Operator for BatchNormalization {
    fn op_type(&self) -> &'static str {
        "BatchNormalization"
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Normalisation
    }

    fn since(&self) -> &'static [i64] {
        &[1, 6, 7, 9, 14, 15]
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let x = required(inputs, 0)?;
        if node.attributes.int("training_mode", 0)? != 0 {
            return Err(OpError::Unsupported(
                "training_mode; export in evaluation mode".to_owned(),
            ));
        }
        if node.opset < 7 && node.attributes.int("is_test", 0)? == 0 {
            return Err(OpError::Unsupported("is_test = 0; export in evaluation mode".to_owned()));
        }
        lengths(inputs, 1..5, channels(inputs))?;
        // Outputs beyond the first exist in training only; old exporters list them.
        let mut facts = Vec::new();
        for slot in 0..node.outputs.len() {
            let shape = if slot == 0 { x.shape.clone() } else { None };
            facts.extend(named(node, slot, x.dtype, shape, None));
        }
        Ok(facts)
    }

    fn slots(&self, _node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<SlotRule>, OpError> {
        let roles = [Role::Gain, Role::Shift, Role::RunningMean, Role::RunningVariance];
        let rule = |(index, role)| vector(index + 1, role, channels(inputs));
        Ok(roles.into_iter().enumerate().map(rule).collect())
    }

    fn passage(&self, _node: &Node) -> Option<Passage> {
        // A weight that is standardised before it is used (Qiao et al. 2019) keeps its place.
        Some(Passage::Same)
    }

    fn execute(
        &self,
        node: &Node,
        inputs: &[Option<Array>],
        _device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let x = array(inputs, 0)?;
        let planes = planes(x)?;
        let count = planes.dims()[1];
        let vector = |input| per_channel(inputs, input, count);
        let epsilon = node.attributes.float("epsilon", 1e-5)?;
        let scale = vector(1)? / (vector(4)? + epsilon).sqrt();
        let result = (planes - vector(3)?) * scale + vector(2)?;
        Ok(vec![Array::flat(result, x.shape().to_vec())])
    }

    fn lower(&self, node: &Node, inputs: &[Option<Fact>]) -> Option<Step> {
        matches!(maybe_shape(inputs, 0)?.len(), 2..=4).then_some(())?;
        Some(Step::BatchNorm { epsilon: node.attributes.float("epsilon", 1e-5).ok()? })
    }
}

/// `InstanceNormalization`: x, gain, shift.
struct InstanceNormalization;

impl Operator for InstanceNormalization {
    fn op_type(&self) -> &'static str {
        "InstanceNormalization"
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Normalisation
    }

    fn since(&self) -> &'static [i64] {
        &[1, 6, 22]
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let x = required(inputs, 0)?;
        lengths(inputs, 1..3, channels(inputs))?;
        Ok(output(node, x.dtype, x.shape.clone()))
    }

    fn slots(&self, _node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<SlotRule>, OpError> {
        let channels = channels(inputs);
        Ok(vec![vector(1, Role::Gain, channels), vector(2, Role::Shift, channels)])
    }

    fn passage(&self, _node: &Node) -> Option<Passage> {
        // A weight that is standardised before it is used (Qiao et al. 2019) keeps its place.
        Some(Passage::Same)
    }

    fn execute(
        &self,
        node: &Node,
        inputs: &[Option<Array>],
        _device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let x = array(inputs, 0)?;
        let planes = planes(x)?;
        let count = planes.dims()[1];
        let epsilon = node.attributes.float("epsilon", 1e-5)?;
        let result = standardise(planes, epsilon) * per_channel(inputs, 1, count)?
            + per_channel(inputs, 2, count)?;
        Ok(vec![Array::flat(result, x.shape().to_vec())])
    }

    fn lower(&self, node: &Node, inputs: &[Option<Fact>]) -> Option<Step> {
        let &[_, groups, _, _] = maybe_shape(inputs, 0)? else { return None };
        Some(Step::GroupNorm { groups, epsilon: node.attributes.float("epsilon", 1e-5).ok()? })
    }
}

/// `GroupNormalization`: x, gain, shift; one value per group before opset 21, per channel since.
struct GroupNormalization;

impl GroupNormalization {
    /// Values of its parameters.
    fn length(node: &Node, inputs: &[Option<Fact>]) -> Result<Option<usize>, OpError> {
        let Some(channels) = channels(inputs) else { return Ok(None) };
        let groups = Self::groups(node, channels)?;
        Ok(Some(if node.opset < 21 { groups } else { channels }))
    }

    fn groups(node: &Node, channels: usize) -> Result<usize, OpError> {
        usize::try_from(node.attributes.int("num_groups", 0)?)
            .ok()
            .filter(|&groups| groups > 0 && channels.is_multiple_of(groups))
            .ok_or_else(|| {
                OpError::Unsupported(format!("num_groups that does not divide {channels} channels"))
            })
    }
}

impl Operator for GroupNormalization {
    fn op_type(&self) -> &'static str {
        "GroupNormalization"
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Normalisation
    }

    fn since(&self) -> &'static [i64] {
        &[18, 21]
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let x = required(inputs, 0)?;
        lengths(inputs, 1..3, Self::length(node, inputs)?)?;
        Ok(output(node, x.dtype, x.shape.clone()))
    }

    fn slots(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<SlotRule>, OpError> {
        let length = Self::length(node, inputs)?;
        Ok(vec![vector(1, Role::Gain, length), vector(2, Role::Shift, length)])
    }

    fn execute(
        &self,
        node: &Node,
        inputs: &[Option<Array>],
        _device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let x = array(inputs, 0)?;
        let [batch, channels, pixels] = planes(x)?.dims();
        let groups = Self::groups(node, channels)?;
        let epsilon = node.attributes.float("epsilon", 1e-5)?;
        let grouped = x.view::<3>(0, [batch, groups, channels / groups * pixels])?;
        let standard = standardise(grouped, epsilon);
        let result = match node.opset {
            ..21 => standard * per_channel(inputs, 1, groups)? + per_channel(inputs, 2, groups)?,
            _ => {
                standard.reshape([batch, channels, pixels]) * per_channel(inputs, 1, channels)?
                    + per_channel(inputs, 2, channels)?
            }
        };
        Ok(vec![Array::flat(result, x.shape().to_vec())])
    }

    fn lower(&self, node: &Node, inputs: &[Option<Fact>]) -> Option<Step> {
        let &[_, channels, _, _] = maybe_shape(inputs, 0)? else { return None };
        let groups = Self::groups(node, channels).ok()?;
        let epsilon = node.attributes.float("epsilon", 1e-5).ok()?;
        (node.opset >= 21).then_some(Step::GroupNorm { groups, epsilon })
    }
}

/// `LayerNormalization` over the axes from `axis` on: x, gain, optional shift.
struct LayerNormalization;

impl LayerNormalization {
    /// Extents of the axes that are normalised.
    fn normalised<'a>(
        node: &Node,
        inputs: &'a [Option<Fact>],
    ) -> Result<Option<&'a [usize]>, OpError> {
        let Some(shape) = maybe_shape(inputs, 0) else { return Ok(None) };
        Ok(Some(&shape[axis(node.attributes.int("axis", -1)?, shape.len())?..]))
    }
}

impl Operator for LayerNormalization {
    fn op_type(&self) -> &'static str {
        "LayerNormalization"
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Normalisation
    }

    fn since(&self) -> &'static [i64] {
        &[17]
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let x = required(inputs, 0)?;
        let normalised = Self::normalised(node, inputs)?;
        lengths(inputs, 1..3, normalised.map(|shape| shape.iter().product()))?;
        let mut facts = output(node, x.dtype, x.shape.clone());
        for slot in 1..node.outputs.len() {
            facts.extend(named(node, slot, x.dtype, None, None));
        }
        Ok(facts)
    }

    fn slots(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<SlotRule>, OpError> {
        let normalised = Self::normalised(node, inputs)?;
        // Over several axes the parameters are tensors of the image, not of its channels.
        let layout = match normalised {
            Some([_] | []) | None => Layout::Vector,
            Some(_) => Layout::Free,
        };
        let shape = normalised.map(<[usize]>::to_vec);
        let rule =
            |input, role| SlotRule { shape: shape.clone(), layout, ..vector(input, role, None) };
        Ok(vec![rule(1, Role::Gain), rule(2, Role::Shift)])
    }

    fn execute(
        &self,
        node: &Node,
        inputs: &[Option<Array>],
        _device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let x = array(inputs, 0)?;
        let shape = x.shape();
        let first = axis(node.attributes.int("axis", -1)?, shape.len())?;
        let inner: usize = shape[first..].iter().product();
        let outer: usize = shape[..first].iter().product();
        let row = |input: usize, value: &Array| value.view::<2>(input, [1, inner]);
        let epsilon = node.attributes.float("epsilon", 1e-5)?;
        let mut result = standardise(x.view::<2>(0, [outer, inner])?, epsilon);
        result = result * row(1, array(inputs, 1)?)?;
        if let Some(shift) = maybe(inputs, 2) {
            result = result + row(2, shift)?;
        }
        Ok(vec![Array::flat(result, shape.to_vec())])
    }

    fn lower(&self, node: &Node, inputs: &[Option<Fact>]) -> Option<Step> {
        let one = Self::normalised(node, inputs).ok()??.len() == 1 && node.outputs.len() == 1;
        let epsilon = node.attributes.float("epsilon", 1e-5).ok()?;
        one.then_some(Step::LayerNorm { epsilon })
    }
}

/// `LRN`, local response normalisation across channels.
struct Lrn;

impl Operator for Lrn {
    fn op_type(&self) -> &'static str {
        "LRN"
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Normalisation
    }

    fn since(&self) -> &'static [i64] {
        &[1, 13]
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
        let planes = planes(x)?;
        let [batch, channels, pixels] = planes.dims();
        let size = usize::try_from(node.attributes.int("size", 1)?).unwrap_or(0);
        if size == 0 || size > 2 * channels + 1 {
            return Err(OpError::Unsupported(format!("size {size} for {channels} channels")));
        }
        let (before, after) = ((size - 1) / 2, size / 2);
        let zeros = |count| Tensor::<3>::zeros([batch, count, pixels], device);
        let padded =
            Tensor::cat(vec![zeros(before), planes.clone().powf_scalar(2.0), zeros(after)], 1);
        let mut total = zeros(channels);
        for offset in 0..size {
            total = total + padded.clone().narrow(1, offset, channels);
        }
        let alpha = node.attributes.float("alpha", 1e-4)? / size as f32;
        let beta = node.attributes.float("beta", 0.75)?;
        if !(-1e3..1e3).contains(&beta) {
            return Err(OpError::Unsupported(format!("beta {beta}")));
        }
        let scale = (total * alpha + node.attributes.float("bias", 1.0)?).powf_scalar(beta);
        Ok(vec![Array::flat(planes / scale, x.shape().to_vec())])
    }
}

/// Batch statistics of a batch normalisation's input: mean and biased variance of each channel.
pub(crate) fn batch_statistics(x: &Array, rows: &Range<usize>) -> Result<[Tensor<1>; 2], OpError> {
    let planes = planes(x)?.slice([rows.clone()]);
    let [batch, channels, pixels] = planes.dims();
    let rows = planes.swap_dims(0, 1).reshape([channels, batch * pixels]);
    let mean = rows.clone().mean_dim(1);
    let variance = (rows - mean.clone()).powf_scalar(2.0).mean_dim(1);
    Ok([mean.reshape([channels]), variance.reshape([channels])])
}

/// Every operator of this family.
pub(super) fn operators() -> Vec<Box<dyn Operator>> {
    vec![
        Box::new(BatchNormalization),
        Box::new(GroupNormalization),
        Box::new(InstanceNormalization),
        Box::new(LayerNormalization),
        Box::new(Lrn),
    ]
}
