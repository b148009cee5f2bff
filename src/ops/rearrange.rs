//! Channels to places in the image, and back.

use burn::tensor::Device;

use crate::graph::{Fact, Node};

use super::{
    Array, OpError, Operator, OperatorFamily,
    helpers::{array, bad, image, output, required},
};

/// `DepthToSpace` or `SpaceToDepth` by blocks of `blocksize` × `blocksize`.
struct Rearrange {
    to_space: bool,
}

/// Extents before the axes move, the order in which they move, extents after.
struct Move {
    split: [usize; 6],
    axes: [usize; 6],
    result: Vec<usize>,
}

impl Rearrange {
    fn plan(&self, node: &Node, shape: &[usize]) -> Result<Move, OpError> {
        let [batch, channels, height, width] = image(shape, 0)?;
        let block = usize::try_from(node.attributes.int("blocksize", 0)?).unwrap_or(0);
        let square = block.checked_mul(block).filter(|&square| square > 0);
        let square = square.ok_or_else(|| OpError::Unsupported(format!("blocksize {block}")))?;
        let wrong = || bad(0, format!("shape {shape:?} is not made of blocks of {block}"));
        if !self.to_space {
            if height % block != 0 || width % block != 0 {
                return Err(wrong());
            }
            let (height, width) = (height / block, width / block);
            return Ok(Move {
                split: [batch, channels, height, block, width, block],
                axes: [0, 3, 5, 1, 2, 4],
                result: vec![batch, channels * square, height, width],
            });
        }
        if channels % square != 0 {
            return Err(wrong());
        }
        let depth = channels / square;
        let result = vec![batch, depth, height * block, width * block];
        Ok(match node.attributes.string("mode", "DCR")? {
            "DCR" => Move {
                split: [batch, block, block, depth, height, width],
                axes: [0, 3, 4, 1, 5, 2],
                result,
            },
            "CRD" => Move {
                split: [batch, depth, block, block, height, width],
                axes: [0, 1, 4, 2, 5, 3],
                result,
            },
            other => return Err(OpError::Unsupported(format!("mode '{other}'"))),
        })
    }
}

impl Operator for Rearrange {
    fn op_type(&self) -> &'static str {
        if self.to_space { "DepthToSpace" } else { "SpaceToDepth" }
    }

    fn since(&self) -> &'static [i64] {
        if self.to_space { &[1, 11, 13] } else { &[1, 13] }
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Shape
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let x = required(inputs, 0)?;
        let shape = match &x.shape {
            Some(shape) => Some(self.plan(node, shape)?.result),
            None => None,
        };
        Ok(output(node, x.dtype, shape))
    }

    fn execute(
        &self,
        node: &Node,
        inputs: &[Option<Array>],
        _device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let x = array(inputs, 0)?;
        let Move { split, axes, result } = self.plan(node, x.shape())?;
        Ok(vec![x.clone().renamed(split.to_vec()).permuted(&axes)?.renamed(result)])
    }
}

/// Every operator of this family.
pub(super) fn operators() -> Vec<Box<dyn Operator>> {
    vec![Box::new(Rearrange { to_space: true }), Box::new(Rearrange { to_space: false })]
}
