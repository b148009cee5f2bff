//! Operators that gather or replace single values at positions known on the host.

use burn::tensor::Device;

use crate::graph::{Fact, Node};

use super::{
    Array, OpError, Operator, OperatorFamily, SlotRule,
    helpers::{array, axis, bad, maybe_shape, output, required},
    strides::{positions, strides},
};

/// Where a tuple of indices (counted from the end if negative) points to.
fn offset(indices: &[i64], shape: &[usize]) -> Result<usize, OpError> {
    indices.iter().zip(shape).zip(strides(shape)).try_fold(0, |sum, ((&index, &extent), stride)| {
        let at = axis(index, extent)
            .map_err(|_| bad(1, format!("index {index} is outside of {extent}")))?;
        Ok(sum + at * stride)
    })
}

/// Positions in a tensor of `shape` that differ from those of the indices' own grid along one axis.
fn along(
    indices: &[i64],
    grid: &[usize],
    shape: &[usize],
    axis: usize,
) -> Result<Vec<usize>, OpError> {
    let fits = grid.len() == shape.len()
        && (0..grid.len()).all(|index| index == axis || grid[index] <= shape[index]);
    if !fits {
        return Err(bad(1, format!("shape {grid:?} does not lie within {shape:?}")));
    }
    let strides = strides(shape);
    let mut others = strides.clone();
    others[axis] = 0;
    let base = positions(grid, &others);
    base.into_iter()
        .zip(indices)
        .map(|(base, &index)| Ok(base + offset(&[index], &shape[axis..=axis])? * strides[axis]))
        .collect()
}

/// `GatherElements` along one axis.
struct GatherElements;

impl Operator for GatherElements {
    fn op_type(&self) -> &'static str {
        "GatherElements"
    }

    fn since(&self) -> &'static [i64] {
        &[11, 13]
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Shape
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let dtype = required(inputs, 0)?.dtype;
        Ok(output(node, dtype, required(inputs, 1)?.shape.clone()))
    }

    fn slots(&self, _node: &Node, _inputs: &[Option<Fact>]) -> Result<Vec<SlotRule>, OpError> {
        Ok(vec![SlotRule::free(0)])
    }

    fn execute(
        &self,
        node: &Node,
        inputs: &[Option<Array>],
        _device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let (x, indices) = (array(inputs, 0)?, array(inputs, 1)?);
        let axis = axis(node.attributes.int("axis", 0)?, x.shape().len())?;
        let positions = along(indices.ints(1)?, indices.shape(), x.shape(), axis)?;
        Ok(vec![x.at(&positions, indices.shape().to_vec())])
    }
}

/// `GatherND`: the last axis of the indices holds positions along the first axes of the data.
struct GatherNd;

impl GatherNd {
    /// Axes that an index tuple fixes, and the shape of the result.
    fn shapes(
        node: &Node,
        shape: &[usize],
        indices: &[usize],
    ) -> Result<(usize, Vec<usize>), OpError> {
        if node.attributes.int("batch_dims", 0)? != 0 {
            return Err(OpError::Unsupported("batch_dims".to_owned()));
        }
        let fixed = indices.last().copied().filter(|fixed| (1..=shape.len()).contains(fixed));
        let fixed = fixed.ok_or_else(|| bad(1, "holds more indices than the data has axes"))?;
        Ok((fixed, [&indices[..indices.len() - 1], &shape[fixed..]].concat()))
    }

    /// Flat positions of the blocks that tuples of indices point to.
    fn blocks(indices: &[i64], fixed: usize, shape: &[usize]) -> Result<Vec<usize>, OpError> {
        let block: usize = shape[fixed..].iter().product();
        let mut positions = Vec::new();
        for tuple in indices.chunks_exact(fixed) {
            let start = offset(tuple, &shape[..fixed])? * block;
            positions.extend(start..start + block);
        }
        Ok(positions)
    }
}

impl Operator for GatherNd {
    fn op_type(&self) -> &'static str {
        "GatherND"
    }

    fn since(&self) -> &'static [i64] {
        &[11, 12, 13]
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Shape
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let x = required(inputs, 0)?;
        let shape = match (&x.shape, maybe_shape(inputs, 1)) {
            (Some(shape), Some(indices)) => Some(Self::shapes(node, shape, indices)?.1),
            _ => None,
        };
        Ok(output(node, x.dtype, shape))
    }

    fn slots(&self, _node: &Node, _inputs: &[Option<Fact>]) -> Result<Vec<SlotRule>, OpError> {
        Ok(vec![SlotRule::free(0)])
    }

    fn execute(
        &self,
        node: &Node,
        inputs: &[Option<Array>],
        _device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let (x, indices) = (array(inputs, 0)?, array(inputs, 1)?);
        let (fixed, shape) = Self::shapes(node, x.shape(), indices.shape())?;
        Ok(vec![x.at(&Self::blocks(indices.ints(1)?, fixed, x.shape())?, shape)])
    }
}

/// `ScatterND` or `ScatterElements` without reduction: the data with some values replaced.
struct Scatter {
    elements: bool,
}

impl Operator for Scatter {
    fn op_type(&self) -> &'static str {
        if self.elements { "ScatterElements" } else { "ScatterND" }
    }

    fn since(&self) -> &'static [i64] {
        &[11, 13, 16, 18]
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Shape
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        match node.attributes.string("reduction", "none")? {
            "none" => {}
            other => return Err(OpError::Unsupported(format!("reduction '{other}'"))),
        }
        let x = required(inputs, 0)?;
        Ok(output(node, x.dtype, x.shape.clone()))
    }

    fn execute(
        &self,
        node: &Node,
        inputs: &[Option<Array>],
        _device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let (x, indices, updates) = (array(inputs, 0)?, array(inputs, 1)?, array(inputs, 2)?);
        let shape = x.shape();
        let replaced = if self.elements {
            let axis = axis(node.attributes.int("axis", 0)?, shape.len())?;
            along(indices.ints(1)?, indices.shape(), shape, axis)?
        } else {
            let (fixed, _) = GatherNd::shapes(node, shape, indices.shape())?;
            GatherNd::blocks(indices.ints(1)?, fixed, shape)?
        };
        let count: usize = shape.iter().product();
        if updates.shape().iter().product::<usize>() != replaced.len() {
            return Err(bad(2, format!("does not hold {} values", replaced.len())));
        }
        let mut positions: Vec<usize> = (0..count).collect();
        for (update, at) in replaced.into_iter().enumerate() {
            positions[at] = count + update;
        }
        Ok(vec![x.followed_by(updates)?.at(&positions, shape.to_vec())])
    }
}

/// `Trilu`: the upper or lower triangle of the last two axes, zeros elsewhere.
struct Trilu;

impl Operator for Trilu {
    fn op_type(&self) -> &'static str {
        "Trilu"
    }

    fn since(&self) -> &'static [i64] {
        &[14]
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Shape
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let x = required(inputs, 0)?;
        if x.shape.as_ref().is_some_and(|shape| shape.len() < 2) {
            return Err(bad(0, "is no matrix"));
        }
        Ok(output(node, x.dtype, x.shape.clone()))
    }

    fn execute(
        &self,
        node: &Node,
        inputs: &[Option<Array>],
        device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let x = array(inputs, 0)?;
        let shape = x.shape();
        let &[.., rows, columns] = shape else { return Err(bad(0, "is no matrix")) };
        let shift = match inputs.get(1) {
            Some(Some(shift)) => shift.ints(1)?.first().copied().unwrap_or(0),
            _ => 0,
        };
        let upper = node.attributes.int("upper", 1)? != 0;
        let count: usize = shape.iter().product();
        let keeps = |at: usize| {
            let (row, column) = ((at / columns % rows) as i64, (at % columns) as i64);
            let beyond = column.saturating_sub(row);
            if upper { beyond >= shift } else { beyond <= shift }
        };
        let zero = match x {
            Array::Int { .. } => Array::Int { shape: vec![1], data: vec![0] },
            Array::Float { .. } => Array::upload(&crate::graph::Tensor::full(vec![1], 0.0), device),
        };
        let positions: Vec<usize> =
            (0..count).map(|at| if keeps(at) { at } else { count }).collect();
        Ok(vec![x.followed_by(&zero)?.at(&positions, shape.to_vec())])
    }
}

/// `Tile`: the data repeated along every axis.
struct Tile;

impl Tile {
    fn repeats(shape: &[usize], given: &[i64]) -> Result<Vec<usize>, OpError> {
        let repeats: Option<Vec<usize>> =
            given.iter().map(|&count| usize::try_from(count).ok()).collect();
        let repeats = repeats.filter(|repeats| repeats.len() == shape.len());
        repeats.ok_or_else(|| bad(1, format!("{given:?} are no repeats of {shape:?}")))
    }

    fn shape(shape: &[usize], repeats: &[usize]) -> Vec<usize> {
        shape.iter().zip(repeats).map(|(&extent, &count)| extent.saturating_mul(count)).collect()
    }
}

impl Operator for Tile {
    fn op_type(&self) -> &'static str {
        "Tile"
    }

    fn since(&self) -> &'static [i64] {
        &[6, 13]
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Shape
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let x = required(inputs, 0)?;
        let shape = match (&x.shape, super::helpers::static_ints(inputs, 1)) {
            (Some(shape), Some(given)) => Some(Self::shape(shape, &Self::repeats(shape, given)?)),
            _ => None,
        };
        Ok(output(node, x.dtype, shape))
    }

    fn slots(&self, _node: &Node, _inputs: &[Option<Fact>]) -> Result<Vec<SlotRule>, OpError> {
        Ok(vec![SlotRule::free(0)])
    }

    fn execute(
        &self,
        _node: &Node,
        inputs: &[Option<Array>],
        _device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let (x, given) = (array(inputs, 0)?, array(inputs, 1)?);
        let repeats = Self::repeats(x.shape(), given.ints(1)?)?;
        // Each axis becomes one of repeats, at which nothing moves, and one of values.
        let mut grid = Vec::new();
        let mut steps = Vec::new();
        for ((&count, &extent), stride) in repeats.iter().zip(x.shape()).zip(strides(x.shape())) {
            grid.extend([count, extent]);
            steps.extend([0, stride]);
        }
        Ok(vec![x.at(&positions(&grid, &steps), Self::shape(x.shape(), &repeats))])
    }
}

/// Every operator of this family.
pub(super) fn operators() -> Vec<Box<dyn Operator>> {
    vec![
        Box::new(GatherElements),
        Box::new(GatherNd),
        Box::new(Scatter { elements: true }),
        Box::new(Scatter { elements: false }),
        Box::new(Trilu),
        Box::new(Tile),
    ]
}
