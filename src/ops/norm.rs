//! Normalisations.

use burn::tensor::{Device, Tensor};

use crate::{
    graph::{Fact, Layout, Node, Role},
    kernels::Step,
};

use super::{
    Array, OpError, Operator, SlotRule,
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

    fn since(&self) -> &'static [i64] {
        &[1, 6, 7, 9, 14, 15]
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let x = required(inputs, 0)?;
        if node.attributes.int("training_mode", 0)? != 0 {
            return Err(OpError::Unsupported("training_mode; export in evaluation mode".to_owned()));
        }
        for input in 1..5 {
            let (Some(shape), Some(channels)) = (maybe_shape(inputs, input), channels(inputs)) else {
                continue;
            };
            if shape != [channels] {
                return Err(bad(input, format!("shape {shape:?} is not one value per channel ({channels})")));
            }
        }
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

    fn execute(&self, node: &Node, inputs: &[Option<Array>], _device: &Device) -> Result<Vec<Array>, OpError> {
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
        matches!(maybe_shape(inputs, 0)?.len(), 2 | 4).then_some(())?;
        Some(Step::BatchNorm { epsilon: node.attributes.float("epsilon", 1e-5).ok()? })
    }
}

/// `InstanceNormalization`: x, gain, shift.
struct InstanceNormalization;

impl Operator for InstanceNormalization {
    fn op_type(&self) -> &'static str {
        "InstanceNormalization"
    }

    fn since(&self) -> &'static [i64] {
        &[1, 6, 22]
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let x = required(inputs, 0)?;
        Ok(output(node, x.dtype, x.shape.clone()))
    }

    fn slots(&self, _node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<SlotRule>, OpError> {
        let channels = channels(inputs);
        Ok(vec![vector(1, Role::Gain, channels), vector(2, Role::Shift, channels)])
    }

    fn execute(&self, node: &Node, inputs: &[Option<Array>], _device: &Device) -> Result<Vec<Array>, OpError> {
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

    fn since(&self) -> &'static [i64] {
        &[18, 21]
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let x = required(inputs, 0)?;
        if let Some(channels) = channels(inputs) {
            Self::groups(node, channels)?;
        }
        Ok(output(node, x.dtype, x.shape.clone()))
    }

    fn slots(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<SlotRule>, OpError> {
        let channels = channels(inputs);
        let length = match channels {
            Some(channels) if node.opset < 21 => Some(Self::groups(node, channels)?),
            channels => channels,
        };
        Ok(vec![vector(1, Role::Gain, length), vector(2, Role::Shift, length)])
    }

    fn execute(&self, node: &Node, inputs: &[Option<Array>], _device: &Device) -> Result<Vec<Array>, OpError> {
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

impl Operator for LayerNormalization {
    fn op_type(&self) -> &'static str {
        "LayerNormalization"
    }

    fn since(&self) -> &'static [i64] {
        &[17]
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let x = required(inputs, 0)?;
        let mut facts = output(node, x.dtype, x.shape.clone());
        for slot in 1..node.outputs.len() {
            facts.extend(named(node, slot, x.dtype, None, None));
        }
        Ok(facts)
    }

    fn slots(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<SlotRule>, OpError> {
        let normalised = match maybe_shape(inputs, 0) {
            Some(shape) => Some(shape[axis(node.attributes.int("axis", -1)?, shape.len())?..].to_vec()),
            None => None,
        };
        let rule = |input, role| SlotRule { shape: normalised.clone(), ..vector(input, role, None) };
        Ok(vec![rule(1, Role::Gain), rule(2, Role::Shift)])
    }

    fn execute(&self, node: &Node, inputs: &[Option<Array>], _device: &Device) -> Result<Vec<Array>, OpError> {
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
}

/// `LRN`, local response normalisation across channels.
struct Lrn;

impl Operator for Lrn {
    fn op_type(&self) -> &'static str {
        "LRN"
    }

    fn since(&self) -> &'static [i64] {
        &[1, 13]
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let x = required(inputs, 0)?;
        Ok(output(node, x.dtype, x.shape.clone()))
    }

    fn execute(&self, node: &Node, inputs: &[Option<Array>], device: &Device) -> Result<Vec<Array>, OpError> {
        let x = array(inputs, 0)?;
        let planes = planes(x)?;
        let [batch, channels, pixels] = planes.dims();
        let size = usize::try_from(node.attributes.int("size", 1)?).unwrap_or(0);
        if size == 0 || size > 2 * channels + 1 {
            return Err(OpError::Unsupported(format!("size {size} for {channels} channels")));
        }
        let (before, after) = ((size - 1) / 2, size / 2);
        let zeros = |count| Tensor::<3>::zeros([batch, count, pixels], device);
        let padded = Tensor::cat(vec![zeros(before), planes.clone().powf_scalar(2.0), zeros(after)], 1);
        let mut total = zeros(channels);
        for offset in 0..size {
            total = total + padded.clone().narrow(1, offset, channels);
        }
        let alpha = node.attributes.float("alpha", 1e-4)? / size as f32;
        let beta = node.attributes.float("beta", 0.75)?;
        let scale = (total * alpha + node.attributes.float("bias", 1.0)?).powf_scalar(beta);
        Ok(vec![Array::flat(planes / scale, x.shape().to_vec())])
    }
}

/// `PRelu`: x for x > 0, slope · x otherwise; the slope broadcasts to x.
struct PRelu;

impl Operator for PRelu {
    fn op_type(&self) -> &'static str {
        "PRelu"
    }

    fn since(&self) -> &'static [i64] {
        &[1, 6, 7, 9, 16]
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let x = required(inputs, 0)?;
        Ok(output(node, x.dtype, x.shape.clone()))
    }

    fn slots(&self, _node: &Node, _inputs: &[Option<Fact>]) -> Result<Vec<SlotRule>, OpError> {
        Ok(vec![vector(1, Role::Slope, None)])
    }

    fn execute(&self, node: &Node, inputs: &[Option<Array>], _device: &Device) -> Result<Vec<Array>, OpError> {
        let (x, slope) = (array(inputs, 0)?, array(inputs, 1)?);
        let shape = x.shape().to_vec();
        // Before opset 7 a vector stands for one value per channel.
        let slope: Tensor<6> = match (node.opset, slope.shape()) {
            (..7, &[count]) if count > 1 && shape.len() > 1 => {
                let mut full = [1; 6];
                full[6 - shape.len() + 1] = count;
                slope.view(1, full)?
            }
            _ => slope.rank(1)?,
        };
        let x: Tensor<6> = x.rank(0)?;
        let result = x.clone().clamp_min(0.0) + x.clamp_max(0.0) * slope;
        Ok(vec![Array::flat(result, shape)])
    }
}

/// Every operator of this family.
pub(super) fn operators() -> Vec<Box<dyn Operator>> {
    vec![
        Box::new(BatchNormalization),
        Box::new(GroupNormalization),
        Box::new(InstanceNormalization),
        Box::new(LayerNormalization),
        Box::new(Lrn),
        Box::new(PRelu),
    ]
}
