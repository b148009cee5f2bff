//! TransNAS-Bench-101, micro: one skeleton, a cell of four nodes with an operator on every edge.

use crate::spaces::{build::Built, cell::EdgeOp};

use super::{Block, Code, ColumnFormat, Down, EdgeCell, Stage, plan};

/// What the skeleton `64-41414` doubles: a digit stands for two cells, the first of which changes the shape.
const MODULES: [usize; 5] = [4, 1, 4, 1, 4];
/// Channels in front of the first cell.
const WIDTH: usize = 64;
/// Classes of the task `class_object`; other tasks share its trunk.
const CLASSES: usize = 100;
const SIDE: usize = 256;

pub(super) const FORMAT: ColumnFormat = ColumnFormat {
    name: "TransNAS-Bench-101, micro",
    key: "live_arch",
    targets: &[
        "class_object",
        "class_scene",
        "jigsaw",
        "room_layout",
        "segmentsemantic",
        "autoencoder",
        "normal",
    ],
    code: |key| Ok(Cell::parse(key)?.map(Code::TransNas)),
};

/// The operators of all edges, nodes 1 and 2 in the order that makes the code the smaller.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell(EdgeCell);

impl Cell {
    /// From `64-41414-A_BC_DEF`; `None` where nothing leads from the input to the output.
    pub(super) fn parse(key: &str) -> Result<Option<Self>, String> {
        let digits = key
            .strip_prefix("64-41414-")
            .ok_or_else(|| "is no cell of the skeleton 64-41414".to_owned())?;
        let op = |digit: &u8| match digit {
            b'0' => Ok(None),
            b'1' => Ok(Some(EdgeOp::Skip)),
            b'2' => Ok(Some(EdgeOp::Conv1)),
            b'3' => Ok(Some(EdgeOp::Conv3)),
            other => Err(format!("has an unknown operator '{}'", char::from(*other))),
        };
        let digits: Vec<u8> = digits.bytes().filter(|byte| *byte != b'_').collect();
        let ops: Vec<Option<EdgeOp>> = digits.iter().map(op).collect::<Result<_, _>>()?;
        let [a, b, c, d, e, f] = ops[..] else { return Err("has not six operators".to_owned()) };
        let cell = |[a, b, c, d, e, f]: [Option<EdgeOp>; 6]| {
            let mut edges = [[None; 4]; 4];
            (edges[0][1], edges[0][2], edges[1][2]) = (a, b, c);
            (edges[0][3], edges[1][3], edges[2][3]) = (d, e, f);
            EdgeCell { edges }
        };
        let own = cell([a, b, c, d, e, f]);
        if !own.leads_through() {
            return Ok(None);
        }
        let swapped = cell([b, a, c, d, f, e]);
        Ok(Some(Self(if c.is_none() { own.min(swapped) } else { own })))
    }

    pub(super) fn built(&self) -> Built {
        let mut width = WIDTH;
        let stem = Stage {
            down: Some(Down::Stride),
            blocks: vec![Block::Linear { width, kernel: 3 }],
            theme: None,
        };
        let mut stages = vec![stem];
        for module in MODULES {
            if matches!(module, 2 | 4) {
                width *= 2;
            }
            let down = matches!(module, 3 | 4).then_some(Down::Stride);
            let block = Block::StridedCell { width, cell: self.0 };
            stages.push(Stage { down, blocks: vec![block; 2], theme: None });
        }
        let mut plan = plan(WIDTH / 2, stages);
        if let super::Body::Stages { stem, .. } = &mut plan.body {
            stem.stride = 2;
        }
        let name = "transnas-bench-101";
        let (builder, logits, _) =
            crate::spaces::block::network(&plan, name, [3, SIDE, SIDE], CLASSES);
        builder.build(&logits)
    }
}
