//! Softmax and its logarithm.

use burn::tensor::{Device, Tensor, activation};

use crate::{
    graph::{Fact, Node},
    kernels::Step,
};

use super::{
    Array, OpError, Operator, OperatorFamily,
    helpers::{array, axis, maybe_shape, output, required},
};

/// `Softmax` or `LogSoftmax`. Before opset 13 the input is flattened to two axes at `axis` (default
/// 1); from then on only `axis` (default the last) is normalised.
struct Softmax {
    log: bool,
}

impl Operator for Softmax {
    fn op_type(&self) -> &'static str {
        if self.log { "LogSoftmax" } else { "Softmax" }
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Activation
    }

    fn since(&self) -> &'static [i64] {
        &[1, 11, 13]
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let x = required(inputs, 0)?;
        Ok(output(node, x.dtype, x.shape.clone()))
    }

    fn execute(
        &self,
        node: &Node,
        inputs: &[Option<Array>],
        _device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let x = array(inputs, 0)?;
        let shape = x.shape();
        let flattens = node.opset < 13;
        let index = axis(node.attributes.int("axis", if flattens { 1 } else { -1 })?, shape.len())?;
        let outer: usize = shape[..index].iter().product();
        let (extent, inner) = match flattens {
            true => (shape[index..].iter().product(), 1),
            false => (shape[index], shape[index + 1..].iter().product()),
        };
        let view: Tensor<3> = x.view(0, [outer, extent, inner])?;
        let result =
            if self.log { activation::log_softmax(view, 1) } else { activation::softmax(view, 1) };
        Ok(vec![Array::flat(result, shape.to_vec())])
    }

    fn lower(&self, node: &Node, inputs: &[Option<Fact>]) -> Option<Step> {
        let rank = maybe_shape(inputs, 0)?.len();
        let axis = axis(node.attributes.int("axis", -1).ok()?, rank).ok()?;
        (!self.log && node.opset >= 13).then_some(Step::Softmax { axis })
    }
}

/// Every operator of this family.
pub(super) fn operators() -> Vec<Box<dyn Operator>> {
    vec![Box::new(Softmax { log: false }), Box::new(Softmax { log: true })]
}
