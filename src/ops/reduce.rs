//! Reductions over axes, given as an attribute or, in newer opsets, as an input.

use burn::tensor::{Device, Tensor};

use crate::{
    graph::{Fact, Node},
    kernels::Step,
};

use super::{
    Array, OpError, Operator, OperatorFamily,
    helpers::{around, array, axis, maybe, maybe_shape, output, required, static_ints},
};

/// A reduction.
struct Reduce {
    op_type: &'static str,
    since: &'static [i64],
    /// First opset whose axes are an input.
    axes_input: i64,
    run: fn(Tensor<3>) -> Tensor<3>,
    mean: bool,
}

impl Reduce {
    /// Which axes are reduced; `None` where the axes are not known statically.
    fn axes(
        &self,
        node: &Node,
        given: Option<Option<&[i64]>>,
        rank: usize,
    ) -> Result<Option<Vec<bool>>, OpError> {
        let axes = match given {
            Some(Some(axes)) => Some(axes),
            Some(None) => return Ok(None),
            None => node.attributes.ints("axes")?,
        };
        let all = axes.is_none_or(<[i64]>::is_empty);
        if all && node.attributes.int("noop_with_empty_axes", 0)? != 0 {
            return Ok(Some(vec![false; rank]));
        }
        let mut reduced = vec![all; rank];
        for &index in axes.unwrap_or_default() {
            reduced[axis(index, rank)?] = true;
        }
        Ok(Some(reduced))
    }

    /// The reduction of two integers, where it is one of shape arithmetic.
    fn run_ints(&self) -> Option<fn(i64, i64) -> Option<i64>> {
        match self.op_type {
            "ReduceSum" => Some(i64::checked_add),
            "ReduceProd" => Some(i64::checked_mul),
            "ReduceMax" => Some(|a, b| Some(a.max(b))),
            "ReduceMin" => Some(|a, b| Some(a.min(b))),
            _ => None,
        }
    }

    /// Axes among the inputs: absent, present but computed, or known.
    fn given<'a>(&self, node: &Node, inputs: &'a [Option<Fact>]) -> Option<Option<&'a [i64]>> {
        let present = node.opset >= self.axes_input && inputs.get(1).is_some_and(Option::is_some);
        present.then(|| static_ints(inputs, 1))
    }
}

impl Operator for Reduce {
    fn op_type(&self) -> &'static str {
        self.op_type
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Reduction
    }

    fn since(&self) -> &'static [i64] {
        self.since
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let x = required(inputs, 0)?;
        let keep = node.attributes.int("keepdims", 1)? != 0;
        let Some(shape) = &x.shape else { return Ok(output(node, x.dtype, None)) };
        let reduced = self.axes(node, self.given(node, inputs), shape.len())?;
        let shape = reduced.map(|reduced| kept(shape, &reduced, keep));
        Ok(output(node, x.dtype, shape))
    }

    fn execute(
        &self,
        node: &Node,
        inputs: &[Option<Array>],
        _device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let x = array(inputs, 0)?;
        let shape = x.shape().to_vec();
        let given = match maybe(inputs, 1) {
            Some(axes) if node.opset >= self.axes_input => Some(Some(axes.ints(1)?)),
            _ => None,
        };
        let reduced = self.axes(node, given, shape.len())?.unwrap_or_default();
        let keep = node.attributes.int("keepdims", 1)? != 0;
        if let (Array::Int { data, .. }, Some(run)) = (x, self.run_ints()) {
            let data = reduce_ints(data, &shape, &reduced, run);
            let overflow = || OpError::Unsupported("integers that overflow".to_owned());
            let data = data.ok_or_else(overflow)?;
            return Ok(vec![Array::Int { data, shape: kept(&shape, &reduced, keep) }]);
        }
        let mut now = shape.clone();
        let mut flat = x.floats(0)?;
        for index in (0..shape.len()).filter(|&index| reduced[index]) {
            let outer: usize = now[..index].iter().product();
            let inner: usize = now[index + 1..].iter().product();
            let result = (self.run)(flat.reshape([outer, now[index], inner]));
            now[index] = 1;
            flat = result.reshape([outer * inner]);
        }
        Ok(vec![Array::Float { flat, shape: kept(&shape, &reduced, keep) }])
    }

    fn lower(&self, node: &Node, inputs: &[Option<Fact>]) -> Option<Step> {
        let shape = maybe_shape(inputs, 0)?;
        let reduced = self.axes(node, self.given(node, inputs), shape.len()).ok()??;
        (self.mean && reduced.contains(&true)).then_some(Step::Mean { reduced })
    }
}

/// Integers reduced over some axes; `None` where they overflow.
fn reduce_ints(
    data: &[i64],
    shape: &[usize],
    reduced: &[bool],
    run: fn(i64, i64) -> Option<i64>,
) -> Option<Vec<i64>> {
    let (mut now, mut data) = (shape.to_vec(), data.to_vec());
    (!data.is_empty()).then_some(())?;
    for index in (0..shape.len()).filter(|&index| reduced[index]) {
        let [outer, extent, inner] = around(&now, index);
        data = (0..outer * inner)
            .map(|lane| {
                let at =
                    |place: usize| data[(lane / inner * extent + place) * inner + lane % inner];
                (1..extent).try_fold(at(0), |sum, place| run(sum, at(place)))
            })
            .collect::<Option<_>>()?;
        now[index] = 1;
    }
    Some(data)
}

fn kept(shape: &[usize], reduced: &[bool], keep: bool) -> Vec<usize> {
    shape
        .iter()
        .zip(reduced)
        .filter(|(_, reduced)| keep || !**reduced)
        .map(|(&extent, &reduced)| if reduced { 1 } else { extent })
        .collect()
}

/// Every operator of this family.
pub(super) fn operators() -> Vec<Box<dyn Operator>> {
    let reduce = |op_type, since, axes_input, run, mean| {
        Box::new(Reduce { op_type, since, axes_input, run, mean }) as Box<dyn Operator>
    };
    vec![
        reduce("ReduceMean", &[1, 11, 13, 18], 18, |x| x.mean_dim(1), true),
        reduce("ReduceSum", &[1, 11, 13], 13, |x| x.sum_dim(1), false),
        reduce("ReduceMax", &[1, 11, 12, 13, 18, 20], 18, |x| x.max_dim(1), false),
        reduce("ReduceMin", &[1, 11, 12, 13, 18, 20], 18, |x| x.min_dim(1), false),
        reduce("ReduceProd", &[1, 11, 13, 18], 18, |x| x.prod_dim(1), false),
        reduce("ReduceL1", &[1, 11, 13, 18], 18, |x| x.abs().sum_dim(1), false),
        reduce("ReduceL2", &[1, 11, 13, 18], 18, |x| x.powf_scalar(2.0).sum_dim(1).sqrt(), false),
    ]
}
