//! Cells of DARTS: four nodes, each the sum of two operators on earlier values.

use super::draw::Draw;

/// Nodes of a cell beside its two inputs.
pub(super) const NODES: usize = 4;

/// What a cell does; the inputs are 0, the cell before the last, and 1, the last one, its nodes 2 to 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PairCell {
    /// Two operators of every node, each with the value that it reads.
    pub nodes: [[(PairOp, usize); 2]; NODES],
}

/// What an operand of a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PairOp {
    /// Zeros.
    Zero,
    /// 3×3 maximum.
    MaxPool,
    /// 3×3 mean.
    AveragePool,
    Skip,
    /// Twice activation, depthwise convolution of this kernel, 1×1 convolution, norm.
    Separable(usize),
    /// Activation, depthwise convolution of this kernel with gaps of one pixel, 1×1 convolution, norm.
    Dilated(usize),
}

impl PairCell {
    /// Every operator and every earlier value is as likely.
    pub fn draw(draw: &mut Draw) -> Self {
        let ops = [
            PairOp::Zero,
            PairOp::MaxPool,
            PairOp::AveragePool,
            PairOp::Skip,
            PairOp::Separable(3),
            PairOp::Separable(5),
            PairOp::Dilated(3),
            PairOp::Dilated(5),
        ]
        .map(|op| (op, 1.0));
        let mut nodes = [[(PairOp::Skip, 0); 2]; NODES];
        for (index, operands) in nodes.iter_mut().enumerate() {
            let values: Vec<(usize, f64)> = (0..index + 2).map(|value| (value, 1.0)).collect();
            for operand in operands {
                let op = draw.pick(&ops).unwrap_or(PairOp::Skip);
                *operand = (op, draw.pick(&values).unwrap_or(0));
            }
        }
        Self { nodes }
    }
}
