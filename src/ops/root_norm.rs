//! Normalisations that divide by the length of a vector and leave its mean alone.

use burn::tensor::{Device, Tensor};

use crate::graph::{Fact, Layout, Node, Role};

use super::{
    Array, OpError, Operator, OperatorFamily, SlotRule,
    helpers::{around, array, axis, bad, maybe_shape, output, required},
};

/// `RMSNormalization` over the axes from `axis` on (Zhang and Sennrich 2019): x, gain.
struct RmsNormalization;

impl RmsNormalization {
    fn first(node: &Node, shape: &[usize]) -> Result<usize, OpError> {
        axis(node.attributes.int("axis", -1)?, shape.len())
    }
}

impl Operator for RmsNormalization {
    fn op_type(&self) -> &'static str {
        "RMSNormalization"
    }

    fn since(&self) -> &'static [i64] {
        &[23]
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Normalisation
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let x = required(inputs, 0)?;
        if let (Some(shape), Some(gain)) = (&x.shape, maybe_shape(inputs, 1)) {
            let normalised = &shape[Self::first(node, shape)?..];
            if gain.iter().product::<usize>() != normalised.iter().product::<usize>() {
                return Err(bad(1, format!("shape {gain:?} is not {normalised:?}")));
            }
        }
        Ok(output(node, x.dtype, x.shape.clone()))
    }

    fn slots(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<SlotRule>, OpError> {
        let normalised = match maybe_shape(inputs, 0) {
            Some(shape) => Some(shape[Self::first(node, shape)?..].to_vec()),
            None => None,
        };
        let vector = normalised.as_ref().is_none_or(|shape| shape.len() <= 1);
        let layout = if vector { Layout::Vector } else { Layout::Free };
        let role = Role::Gain;
        Ok(vec![SlotRule { role, layout, shape: normalised, ..SlotRule::free(1) }])
    }

    fn execute(
        &self,
        node: &Node,
        inputs: &[Option<Array>],
        _device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let (x, gain) = (array(inputs, 0)?, array(inputs, 1)?);
        let shape = x.shape();
        let first = Self::first(node, shape)?;
        let inner: usize = shape[first..].iter().product();
        let rows: Tensor<2> = x.view(0, [shape[..first].iter().product(), inner])?;
        let epsilon = node.attributes.float("epsilon", 1e-5)?;
        let power = rows.clone().powf_scalar(2.0).mean_dim(1) + epsilon;
        let result = rows / power.sqrt() * gain.view(1, [1, inner])?;
        Ok(vec![Array::flat(result, shape.to_vec())])
    }
}

/// `LpNormalization`: every vector along an axis divided by its length.
struct LpNormalization;

impl Operator for LpNormalization {
    fn op_type(&self) -> &'static str {
        "LpNormalization"
    }

    fn since(&self) -> &'static [i64] {
        &[1, 22]
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Normalisation
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let x = required(inputs, 0)?;
        match node.attributes.int("p", 2)? {
            1 | 2 => Ok(output(node, x.dtype, x.shape.clone())),
            other => Err(OpError::Unsupported(format!("p = {other}"))),
        }
    }

    fn execute(
        &self,
        node: &Node,
        inputs: &[Option<Array>],
        _device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let x = array(inputs, 0)?;
        let shape = x.shape();
        let along = axis(node.attributes.int("axis", -1)?, shape.len())?;
        let view: Tensor<3> = x.view(0, around(shape, along))?;
        let length = match node.attributes.int("p", 2)? {
            1 => view.clone().abs().sum_dim(1),
            _ => view.clone().powf_scalar(2.0).sum_dim(1).sqrt(),
        };
        Ok(vec![Array::flat(view / length, shape.to_vec())])
    }
}

/// Every operator of this family.
pub(super) fn operators() -> Vec<Box<dyn Operator>> {
    vec![Box::new(RmsNormalization), Box::new(LpNormalization)]
}
