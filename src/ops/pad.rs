//! `Pad`: a tensor with a margin of a constant, or of its own values.

use std::ops::Range;

use burn::tensor::{Device, Tensor, ops::PadMode};

use crate::graph::{Fact, Node};

use super::{
    Array, OpError, Operator, OperatorFamily,
    helpers::{array, axis, bad, is_computed, maybe, maybe_ints, output, required, static_ints},
    slice::select,
};

/// What a margin holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Margin {
    Constant,
    /// The value at the edge.
    Edge,
    /// The values behind the edge, as in a mirror.
    Reflect,
    /// The values behind the opposite edge.
    Wrap,
}

impl Margin {
    fn of(node: &Node) -> Result<Self, OpError> {
        match node.attributes.string("mode", "constant")? {
            "constant" => Ok(Self::Constant),
            "edge" => Ok(Self::Edge),
            "reflect" => Ok(Self::Reflect),
            "wrap" => Ok(Self::Wrap),
            mode => Err(OpError::Unsupported(format!("mode '{mode}'"))),
        }
    }

    /// Which value along an axis of so many stands at a place, which may lie outside.
    fn source(self, place: i64, extent: i64) -> i64 {
        let last = extent - 1;
        match self {
            Self::Constant | Self::Edge => place.clamp(0, last),
            Self::Wrap => place.rem_euclid(extent),
            Self::Reflect => {
                let place = place.rem_euclid((2 * last).max(1));
                place.min(2 * last - place)
            }
        }
    }
}

/// How many values an axis gains in front and behind, or loses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Pads {
    before: i64,
    after: i64,
}

impl Pads {
    /// The places along an axis of so many values that the result has, some of them outside.
    fn places(self, extent: usize) -> Result<Range<i64>, OpError> {
        let places = || {
            let first = self.before.checked_neg()?;
            let end = i64::try_from(extent).ok()?.checked_add(self.after)?;
            end.checked_sub(first).filter(|&count| count > 0).map(|_| first..end)
        };
        places().ok_or_else(|| OpError::Unsupported("pads that leave nothing".to_owned()))
    }
}

/// `Pad`: pads as an attribute before opset 11, as an input since; of chosen axes since opset 18.
struct Pad;

/// Arrays are padded at this rank.
const RANK: usize = 6;

impl Pad {
    /// Pads by axis; `None` where they are computed.
    fn pads(
        node: &Node,
        given: Option<&[i64]>,
        axes: Option<&[i64]>,
        rank: usize,
    ) -> Result<Option<Vec<Pads>>, OpError> {
        let given = match (given, node.opset) {
            (Some(given), _) => Some(given),
            (None, ..2) => node.attributes.ints("paddings")?,
            (None, 2..11) => node.attributes.ints("pads")?,
            _ => return Ok(None),
        };
        let axes: Vec<usize> = match axes {
            Some(axes) => axes.iter().map(|&it| axis(it, rank)).collect::<Result<_, _>>()?,
            None => (0..rank).collect(),
        };
        let given = given.filter(|given| given.len() == 2 * axes.len());
        let given =
            given.ok_or_else(|| OpError::Unsupported("pads that are not two per axis".into()))?;
        let (before, after) = given.split_at(axes.len());
        let mut pads = vec![Pads::default(); rank];
        for (axis, (&before, &after)) in axes.into_iter().zip(before.iter().zip(after)) {
            pads[axis] = Pads { before, after };
        }
        Ok(Some(pads))
    }

    /// Extents with pads.
    fn result(shape: &[usize], pads: &[Pads]) -> Result<Vec<usize>, OpError> {
        let extent = |(&extent, pads): (&usize, &Pads)| {
            pads.places(extent).map(|places| (places.end - places.start) as usize)
        };
        shape.iter().zip(pads).map(extent).collect()
    }
}

impl Operator for Pad {
    fn op_type(&self) -> &'static str {
        "Pad"
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Shape
    }

    fn since(&self) -> &'static [i64] {
        &[1, 2, 11, 13, 18, 19, 21]
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        Margin::of(node)?;
        let x = required(inputs, 0)?;
        let shape = x.shape.as_ref().filter(|_| !is_computed(inputs, 1) && !is_computed(inputs, 3));
        let Some(shape) = shape else { return Ok(output(node, x.dtype, None)) };
        let (given, axes) = (static_ints(inputs, 1), static_ints(inputs, 3));
        let pads = Self::pads(node, given, axes, shape.len())?;
        let result = pads.map(|pads| Self::result(shape, &pads)).transpose()?;
        Ok(output(node, x.dtype, result))
    }

    fn execute(
        &self,
        node: &Node,
        inputs: &[Option<Array>],
        device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let margin = Margin::of(node)?;
        let x = array(inputs, 0)?;
        let shape = x.shape();
        let (given, axes) = (maybe_ints(inputs, 1)?, maybe_ints(inputs, 3)?);
        let pads = Self::pads(node, given, axes, shape.len())?;
        let pads = pads.ok_or_else(|| bad(1, "is missing"))?;
        let result = Self::result(shape, &pads)?;
        let lead = RANK.checked_sub(shape.len()).ok_or_else(|| bad(0, "has more than 6 axes"))?;
        let mut tensor: Tensor<RANK> = x.rank(0)?;
        // A constant stands beside what is left of the tensor; every other margin is made of its values.
        let mut around = [(0, 0); RANK];
        for (axis, (&extent, &pads)) in shape.iter().zip(&pads).enumerate() {
            let (mut places, extent) = (pads.places(extent)?, extent as i64);
            if margin == Margin::Constant {
                around[lead + axis] = (pads.before.max(0) as usize, pads.after.max(0) as usize);
                places = places.start.max(0)..places.end.min(extent);
                if places.is_empty() {
                    return Err(OpError::Unsupported("pads that leave nothing".to_owned()));
                }
            }
            if places != (0..extent) {
                let from = places.map(|place| margin.source(place, extent) as usize);
                let from: Vec<usize> = from.collect();
                tensor = select(tensor, lead + axis, &from, device);
            }
        }
        if around.iter().any(|&pads| pads != (0, 0)) {
            let value = match maybe(inputs, 2) {
                Some(value) => value.download().first().copied().unwrap_or(0.0),
                None => node.attributes.float("value", 0.0)?,
            };
            tensor = tensor.pad(around, PadMode::Constant(value));
        }
        Ok(vec![Array::flat(tensor, result)])
    }
}

/// Every operator of this family.
pub(super) fn operators() -> Vec<Box<dyn Operator>> {
    vec![Box::new(Pad)]
}

#[cfg(test)]
mod tests {
    use super::Margin;

    #[test]
    fn margins_are_made_of_what_is_inside() {
        let row = |margin: Margin, extent: i64| -> Vec<i64> {
            (-3..extent + 3).map(|place| margin.source(place, extent)).collect()
        };
        assert_eq!(row(Margin::Edge, 3), [0, 0, 0, 0, 1, 2, 2, 2, 2]);
        assert_eq!(row(Margin::Wrap, 3), [0, 1, 2, 0, 1, 2, 0, 1, 2]);
        assert_eq!(row(Margin::Reflect, 4), [3, 2, 1, 0, 1, 2, 3, 2, 1, 0]);
        // Wider than the tensor, and a tensor of one value.
        assert_eq!(row(Margin::Reflect, 2), [1, 0, 1, 0, 1, 0, 1, 0]);
        assert_eq!(row(Margin::Reflect, 1), [0; 7]);
    }
}
