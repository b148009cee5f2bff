//! Operators that move values without changing them.

use burn::tensor::{Device, Tensor};

use crate::{
    graph::{Constant, Fact, Node},
    kernels::Step,
};

use super::{
    Array, OpError, Operator, OperatorFamily, Passage, SlotRule,
    helpers::{
        around, array, axis, bad, maybe_ints, maybe_shape, named, output, required, static_ints,
    },
    strides::spread,
};

/// A target shape from the input's shape and what the node says; `None` if that is computed.
type Target = fn(&Node, &[usize], Option<Option<&[i64]>>) -> Result<Option<Vec<usize>>, OpError>;

/// An operator that only renames the axes of its input.
struct Rename {
    op_type: &'static str,
    since: &'static [i64],
    target: Target,
}

impl Rename {
    /// The second input: absent, present but computed, or known.
    fn given(inputs: &[Option<Fact>]) -> Option<Option<&[i64]>> {
        inputs.get(1).is_some_and(Option::is_some).then(|| static_ints(inputs, 1))
    }
}

impl Operator for Rename {
    fn op_type(&self) -> &'static str {
        self.op_type
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Shape
    }

    fn since(&self) -> &'static [i64] {
        self.since
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let x = required(inputs, 0)?;
        let Some(from) = &x.shape else { return Ok(output(node, x.dtype, None)) };
        let shape = (self.target)(node, from, Self::given(inputs))?;
        let value = match (&shape, &x.value) {
            (Some(shape), Some(Constant::Int { data, .. })) => {
                Some(Constant::Int { shape: shape.clone(), data: data.clone() })
            }
            _ => None,
        };
        Ok(named(node, 0, x.dtype, shape, value).into_iter().collect())
    }

    fn passage(&self, _node: &Node) -> Option<Passage> {
        Some(Passage::Same)
    }

    fn execute(
        &self,
        node: &Node,
        inputs: &[Option<Array>],
        _device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let x = array(inputs, 0)?;
        let given = maybe_ints(inputs, 1)?;
        let shape =
            (self.target)(node, x.shape(), given.map(Some))?.ok_or_else(|| bad(1, "is missing"))?;
        Ok(vec![x.clone().renamed(shape)])
    }

    fn lower(&self, node: &Node, inputs: &[Option<Fact>]) -> Option<Step> {
        let from = maybe_shape(inputs, 0)?;
        let to = (self.target)(node, from, Self::given(inputs)).ok()??;
        Some(if from == to { Step::Identity } else { Step::Reshape })
    }
}

fn count(shape: &[usize]) -> usize {
    shape.iter().product()
}

fn reshape(
    node: &Node,
    from: &[usize],
    given: Option<Option<&[i64]>>,
) -> Result<Option<Vec<usize>>, OpError> {
    let target = match given {
        Some(None) => return Ok(None),
        Some(Some(target)) => target,
        None => match node.attributes.ints("shape")? {
            Some(target) => target,
            None => return Ok(None),
        },
    };
    let allow_zero = node.attributes.int("allowzero", 0)? != 0;
    let wrong = || bad(1, format!("target {target:?} does not hold the values of {from:?}"));
    let mut shape = Vec::with_capacity(target.len());
    let mut open = None;
    for (index, &extent) in target.iter().enumerate() {
        shape.push(match extent {
            -1 if open.is_none() => {
                open = Some(index);
                1
            }
            0 if !allow_zero => *from.get(index).ok_or_else(wrong)?,
            0.. => extent as usize,
            _ => return Err(wrong()),
        });
    }
    let held = shape
        .iter()
        .try_fold(1usize, |held, &extent| held.checked_mul(extent))
        .ok_or_else(wrong)?;
    if let Some(open) = open {
        shape[open] = count(from).checked_div(held).ok_or_else(wrong)?;
    }
    if count(&shape) != count(from) { Err(wrong()) } else { Ok(Some(shape)) }
}

fn flatten(
    node: &Node,
    from: &[usize],
    _: Option<Option<&[i64]>>,
) -> Result<Option<Vec<usize>>, OpError> {
    let index = node.attributes.int("axis", 1)?;
    // The axis may be one past the last.
    let index = if index == from.len() as i64 { from.len() } else { axis(index, from.len())? };
    Ok(Some(vec![count(&from[..index]), count(&from[index..])]))
}

/// Axes as an attribute before opset 13, as an input since.
fn axes<'a>(
    node: &'a Node,
    given: Option<Option<&'a [i64]>>,
) -> Result<Option<Option<&'a [i64]>>, OpError> {
    Ok(match given {
        Some(None) => None,
        Some(axes) => Some(axes),
        None => Some(node.attributes.ints("axes")?),
    })
}

fn squeeze(
    node: &Node,
    from: &[usize],
    given: Option<Option<&[i64]>>,
) -> Result<Option<Vec<usize>>, OpError> {
    let Some(axes) = axes(node, given)? else { return Ok(None) };
    let mut drop: Vec<bool> = from.iter().map(|&extent| axes.is_none() && extent == 1).collect();
    for &index in axes.unwrap_or_default() {
        let index = axis(index, from.len())?;
        if from[index] != 1 {
            return Err(bad(0, format!("axis {index} of {from:?} is not of extent 1")));
        }
        drop[index] = true;
    }
    Ok(Some(from.iter().zip(drop).filter(|(_, drop)| !drop).map(|(&extent, _)| extent).collect()))
}

fn unsqueeze(
    node: &Node,
    from: &[usize],
    given: Option<Option<&[i64]>>,
) -> Result<Option<Vec<usize>>, OpError> {
    let Some(axes) = axes(node, given)? else { return Ok(None) };
    let axes = axes.ok_or_else(|| bad(1, "is missing"))?;
    let rank = from.len() + axes.len();
    let mut new = vec![false; rank];
    for &index in axes {
        new[axis(index, rank)?] = true;
    }
    let mut rest = from.iter().copied();
    Ok(Some(new.iter().map(|&new| if new { 1 } else { rest.next().unwrap_or(1) }).collect()))
}

fn unchanged(
    _: &Node,
    from: &[usize],
    _: Option<Option<&[i64]>>,
) -> Result<Option<Vec<usize>>, OpError> {
    Ok(Some(from.to_vec()))
}

/// `Dropout` in inference mode; a mask output is not supported.
struct Dropout;

impl Operator for Dropout {
    fn op_type(&self) -> &'static str {
        "Dropout"
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Shape
    }

    fn since(&self) -> &'static [i64] {
        &[1, 6, 7, 10, 12, 13, 22]
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let x = required(inputs, 0)?;
        if static_ints(inputs, 2).is_some_and(|training| training != [0]) {
            return Err(OpError::Unsupported(
                "training_mode; export in evaluation mode".to_owned(),
            ));
        }
        let mut facts = output(node, x.dtype, x.shape.clone());
        facts.extend(named(node, 1, None, None, None));
        Ok(facts)
    }

    fn execute(
        &self,
        _node: &Node,
        inputs: &[Option<Array>],
        _device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        Ok(vec![array(inputs, 0)?.clone()])
    }

    fn lower(&self, _node: &Node, _inputs: &[Option<Fact>]) -> Option<Step> {
        Some(Step::Identity)
    }
}

/// `Transpose`.
struct Transpose;

impl Transpose {
    fn permutation(node: &Node, rank: usize) -> Result<Vec<usize>, OpError> {
        let Some(permutation) = node.attributes.ints("perm")? else {
            return Ok((0..rank).rev().collect());
        };
        let axes =
            permutation.iter().map(|&index| axis(index, rank)).collect::<Result<Vec<_>, _>>()?;
        let mut sorted = axes.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..rank) {
            return Err(OpError::Unsupported(format!("perm {permutation:?} of {rank} axes")));
        }
        Ok(axes)
    }
}

impl Operator for Transpose {
    fn op_type(&self) -> &'static str {
        "Transpose"
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Shape
    }

    fn since(&self) -> &'static [i64] {
        &[1, 13, 21]
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let x = required(inputs, 0)?;
        let Some(from) = &x.shape else { return Ok(output(node, x.dtype, None)) };
        let axes = Self::permutation(node, from.len())?;
        Ok(output(node, x.dtype, Some(axes.iter().map(|&axis| from[axis]).collect())))
    }

    fn slots(&self, node: &Node, _inputs: &[Option<Fact>]) -> Result<Vec<SlotRule>, OpError> {
        // A tensor that is learned in another layout; the axes of a matrix are followed.
        Ok(if self.passage(node).is_some() { Vec::new() } else { vec![SlotRule::free(0)] })
    }

    fn passage(&self, node: &Node) -> Option<Passage> {
        match node.attributes.ints("perm").ok()? {
            None | Some([1, 0]) => Some(Passage::Transposed),
            Some(_) => None,
        }
    }

    fn execute(
        &self,
        node: &Node,
        inputs: &[Option<Array>],
        _device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let x = array(inputs, 0)?;
        Ok(vec![x.permuted(&Self::permutation(node, x.shape().len())?)?])
    }

    fn lower(&self, node: &Node, inputs: &[Option<Fact>]) -> Option<Step> {
        let from = maybe_shape(inputs, 0)?;
        let axes = Self::permutation(node, from.len()).ok()?;
        let strides = axes.iter().map(|&axis| around(from, axis)[2]).collect();
        Some(Step::View { offset: 0, strides })
    }
}

/// `Expand` to a shape it broadcasts to.
struct Expand;

/// Arrays are expanded at this rank.
const RANK: usize = 6;

impl Expand {
    fn target(from: &[usize], target: &[i64]) -> Result<Vec<usize>, OpError> {
        let target: Option<Vec<usize>> =
            target.iter().map(|&extent| usize::try_from(extent).ok()).collect();
        target
            .and_then(|target| super::helpers::broadcast(from, &target))
            .ok_or_else(|| bad(1, format!("is no shape that {from:?} broadcasts to")))
    }
}

impl Operator for Expand {
    fn op_type(&self) -> &'static str {
        "Expand"
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Shape
    }

    fn since(&self) -> &'static [i64] {
        &[8, 13]
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let x = required(inputs, 0)?;
        let shape = match (&x.shape, static_ints(inputs, 1)) {
            (Some(from), Some(target)) => Some(Self::target(from, target)?),
            _ => None,
        };
        Ok(output(node, x.dtype, shape))
    }

    fn slots(&self, _node: &Node, _inputs: &[Option<Fact>]) -> Result<Vec<SlotRule>, OpError> {
        // A class token, repeated for every image.
        Ok(vec![SlotRule::free(0)])
    }

    fn execute(
        &self,
        _node: &Node,
        inputs: &[Option<Array>],
        _device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let x = array(inputs, 0)?;
        let shape = Self::target(x.shape(), array(inputs, 1)?.ints(1)?)?;
        if let Array::Int { .. } = x {
            return Ok(vec![x.at(&spread(x.shape(), &shape), shape)]);
        }
        let view: Tensor<RANK> = x.rank(0)?;
        if shape.len() > RANK {
            return Err(bad(1, "asks for more than 6 axes"));
        }
        let mut full = [1; RANK];
        full[RANK - shape.len()..].copy_from_slice(&shape);
        Ok(vec![Array::flat(view.expand(full), shape)])
    }

    fn lower(&self, _node: &Node, inputs: &[Option<Fact>]) -> Option<Step> {
        let from = maybe_shape(inputs, 0)?;
        let shape = Self::target(from, static_ints(inputs, 1)?).ok()?;
        let lead = shape.len().checked_sub(from.len())?;
        let stride = |axis: usize| match axis.checked_sub(lead) {
            Some(axis) if from[axis] > 1 => around(from, axis)[2],
            _ => 0,
        };
        // More of what may be the batch is no map of one image.
        (shape.first() == Some(&1) || shape.first() == from.first())
            .then(|| Step::View { offset: 0, strides: (0..shape.len()).map(stride).collect() })
    }
}

/// Every operator of this family.
pub(super) fn operators() -> Vec<Box<dyn Operator>> {
    let rename =
        |op_type, since, target| Box::new(Rename { op_type, since, target }) as Box<dyn Operator>;
    vec![
        rename("Reshape", &[1, 5, 13, 14, 19, 21, 23], reshape),
        rename("Flatten", &[1, 9, 11, 13, 21, 23], flatten),
        rename("Squeeze", &[1, 11, 13, 21, 23], squeeze),
        rename("Unsqueeze", &[1, 11, 13, 21, 23], unsqueeze),
        rename("Identity", &[1, 13, 14, 16, 19, 21, 23], unchanged),
        Box::new(Dropout),
        Box::new(Transpose),
        Box::new(Expand),
    ]
}
