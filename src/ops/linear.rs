//! Matrix products.

use burn::tensor::{Device, Tensor};

use crate::{
    graph::{Fact, Layout, Node, Operand, Role},
    kernels::Step,
};

use super::{
    Array, OpError, Operator, OperatorFamily, SlotRule,
    helpers::{array, bad, broadcast, maybe, maybe_shape, output, required, results, values},
};

/// `Gemm`: alpha · op(a) · op(b) + beta · c.
struct Gemm;

/// Attributes of Gemm.
struct Form {
    trans_a: bool,
    trans_b: bool,
    alpha: f32,
    beta: f32,
}

impl Form {
    fn of(node: &Node) -> Result<Self, OpError> {
        Ok(Self {
            trans_a: node.attributes.int("transA", 0)? != 0,
            trans_b: node.attributes.int("transB", 0)? != 0,
            alpha: node.attributes.float("alpha", 1.0)?,
            beta: node.attributes.float("beta", 1.0)?,
        })
    }
}

fn matrix(shape: &[usize], input: usize) -> Result<[usize; 2], OpError> {
    shape.try_into().map_err(|_| bad(input, format!("shape {shape:?} is not that of a matrix")))
}

impl Operator for Gemm {
    fn op_type(&self) -> &'static str {
        "Gemm"
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Linear
    }

    fn since(&self) -> &'static [i64] {
        &[1, 6, 7, 9, 11, 13]
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let form = Form::of(node)?;
        let a = required(inputs, 0)?;
        let (Some(left), Some(right)) = (&a.shape, maybe_shape(inputs, 1)) else {
            return Ok(output(node, a.dtype, None));
        };
        let ([mut m, mut k], [mut depth, mut n]) = (matrix(left, 0)?, matrix(right, 1)?);
        if form.trans_a {
            (m, k) = (k, m);
        }
        if form.trans_b {
            (depth, n) = (n, depth);
        }
        if k != depth {
            return Err(bad(1, format!("has {depth} rows to sum over, input 0 has {k}")));
        }
        if let Some(bias) = maybe_shape(inputs, 2)
            && broadcast(bias, &[m, n]).as_deref() != Some(&[m, n])
        {
            return Err(bad(2, format!("shape {bias:?} does not broadcast to [{m}, {n}]")));
        }
        Ok(output(node, a.dtype, Some(vec![m, n])))
    }

    fn slots(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<SlotRule>, OpError> {
        let form = Form::of(node)?;
        let weight = maybe_shape(inputs, 1).and_then(|shape| <[usize; 2]>::try_from(shape).ok());
        let features =
            maybe_shape(inputs, 0).and_then(|shape| shape.get(usize::from(!form.trans_a)));
        let outputs = match (weight, maybe_shape(inputs, 2)) {
            (Some([rows, columns]), _) => Some(if form.trans_b { rows } else { columns }),
            (None, Some([outputs])) => Some(*outputs),
            _ => node.outputs.first().and_then(|fact| fact.shape.as_ref()?.get(1).copied()),
        };
        let fan_in = features.copied().or(weight.map(|w| w[usize::from(form.trans_b)]));
        let shape = fan_in.zip(outputs).map(|(features, outputs)| match form.trans_b {
            true => vec![outputs, features],
            false => vec![features, outputs],
        });
        let layout = if form.trans_b { Layout::OutIn } else { Layout::InOut };
        let rule =
            |input, role, layout, shape| SlotRule { input, role, layout, groups: 1, fan_in, shape };
        Ok(vec![
            rule(1, Role::Weight, layout, shape),
            rule(2, Role::Bias, Layout::Vector, outputs.map(|outputs| vec![outputs])),
        ])
    }

    fn multiply_accumulates(&self, node: &Node, inputs: &[Option<Fact>]) -> u64 {
        let transposed = Form::of(node).is_ok_and(|form| form.trans_a);
        let depth = maybe_shape(inputs, 0).and_then(|shape| shape.get(usize::from(!transposed)));
        values(results(node)).saturating_mul(depth.map_or(0, |&depth| depth as u64))
    }

    fn execute(
        &self,
        node: &Node,
        inputs: &[Option<Array>],
        _device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let form = Form::of(node)?;
        let side = |input: usize, transposed: bool| -> Result<Tensor<2>, OpError> {
            let value = array(inputs, input)?;
            let view = value.view(input, matrix(value.shape(), input)?)?;
            Ok(if transposed { view.transpose() } else { view })
        };
        let mut result = side(0, form.trans_a)?.matmul(side(1, form.trans_b)?);
        if form.alpha != 1.0 {
            result = result * form.alpha;
        }
        if let Some(bias) = maybe(inputs, 2) {
            result = result + bias.rank::<2>(2)? * form.beta;
        }
        Ok(vec![Array::of(result)])
    }

    fn lower(&self, node: &Node, inputs: &[Option<Fact>]) -> Option<Step> {
        let form = Form::of(node).ok()?;
        let learned = matches!(node.inputs.get(1), Some(Operand::Parameter(_)));
        let bias = match node.inputs.get(2) {
            None | Some(Operand::Absent) => true,
            Some(Operand::Parameter(_)) => maybe_shape(inputs, 2)?.len() == 1,
            Some(_) => false,
        };
        let plain = !form.trans_a && form.alpha == 1.0 && form.beta == 1.0;
        (plain && learned && bias).then_some(Step::Linear { out_in: form.trans_b })
    }
}

/// `MatMul`, as `numpy.matmul`.
struct MatMul;

/// Arrays are multiplied at this rank.
const RANK: usize = 5;

impl MatMul {
    /// The shapes as stacks of matrices, and the result.
    fn shapes(a: &[usize], b: &[usize]) -> Result<[Vec<usize>; 3], OpError> {
        let (mut left, mut right) = (a.to_vec(), b.to_vec());
        if left.is_empty() || right.is_empty() {
            return Err(bad(0, "a single number cannot be multiplied as a matrix"));
        }
        if a.len() == 1 {
            left.insert(0, 1);
        }
        if b.len() == 1 {
            right.push(1);
        }
        let (rows, depth) = (left[left.len() - 2], left[left.len() - 1]);
        let (inner, columns) = (right[right.len() - 2], right[right.len() - 1]);
        let stack = broadcast(&left[..left.len() - 2], &right[..right.len() - 2]);
        let (Some(mut result), true) = (stack, depth == inner) else {
            return Err(bad(1, format!("shape {b:?} cannot be multiplied by {a:?}")));
        };
        if a.len() > 1 {
            result.push(rows);
        }
        if b.len() > 1 {
            result.push(columns);
        }
        Ok([left, right, result])
    }
}

impl Operator for MatMul {
    fn op_type(&self) -> &'static str {
        "MatMul"
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Linear
    }

    fn since(&self) -> &'static [i64] {
        &[1, 9, 13]
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let a = required(inputs, 0)?;
        let (Some(left), Some(right)) = (&a.shape, maybe_shape(inputs, 1)) else {
            return Ok(output(node, a.dtype, None));
        };
        let [_, _, shape] = Self::shapes(left, right)?;
        Ok(output(node, a.dtype, Some(shape)))
    }

    fn slots(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<SlotRule>, OpError> {
        let depth = maybe_shape(inputs, 0).and_then(|shape| shape.last().copied());
        let depth = depth.or_else(|| maybe_shape(inputs, 1)?.iter().rev().nth(1).copied());
        let outputs = node.outputs.first().and_then(|fact| fact.shape.as_ref()?.last().copied());
        let rule = |input, layout, fan_in, shape| SlotRule {
            input,
            role: Role::Weight,
            layout,
            groups: 1,
            fan_in,
            shape,
        };
        let left = maybe_shape(inputs, 0).and_then(|shape| shape.last().copied());
        Ok(vec![
            rule(
                1,
                Layout::InOut,
                depth,
                depth.zip(outputs).map(|(depth, outputs)| vec![depth, outputs]),
            ),
            rule(0, Layout::OutIn, left, None),
        ])
    }

    fn multiply_accumulates(&self, node: &Node, inputs: &[Option<Fact>]) -> u64 {
        let depth = maybe_shape(inputs, 0).and_then(<[usize]>::last);
        values(results(node)).saturating_mul(depth.map_or(0, |&depth| depth as u64))
    }

    fn execute(
        &self,
        _node: &Node,
        inputs: &[Option<Array>],
        _device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let (a, b) = (array(inputs, 0)?, array(inputs, 1)?);
        let [left, right, shape] = Self::shapes(a.shape(), b.shape())?;
        // A stack of rows times one matrix is one product.
        if let [depth, columns] = right[..] {
            let rows = left.iter().product::<usize>() / depth.max(1);
            let result = a.view::<2>(0, [rows, depth])?.matmul(b.view(1, [depth, columns])?);
            return Ok(vec![Array::flat(result, shape)]);
        }
        let ranked =
            |array: &Array, input: usize, own: &[usize]| -> Result<Tensor<RANK>, OpError> {
                if own.len() > RANK {
                    return Err(OpError::Unsupported(format!(
                        "matrices stacked in more than {} axes",
                        RANK - 2
                    )));
                }
                let mut full = [1; RANK];
                full[RANK - own.len()..].copy_from_slice(own);
                array.view(input, full)
            };
        let result = ranked(a, 0, &left)?.matmul(ranked(b, 1, &right)?);
        Ok(vec![Array::flat(result, shape)])
    }

    fn lower(&self, node: &Node, inputs: &[Option<Fact>]) -> Option<Step> {
        let ranks = [maybe_shape(inputs, 0)?.len(), maybe_shape(inputs, 1)?.len()];
        match (node.inputs.first()?, node.inputs.get(1)?) {
            (Operand::Parameter(_), _) => None,
            (_, Operand::Parameter(_)) if ranks[1] == 2 => Some(Step::Linear { out_in: false }),
            (_, Operand::Node { .. } | Operand::Input(_)) if !ranks.contains(&1) => {
                Some(Step::MatMul)
            }
            _ => None,
        }
    }
}

/// Every operator of this family.
pub(super) fn operators() -> Vec<Box<dyn Operator>> {
    vec![Box::new(Gemm), Box::new(MatMul)]
}
