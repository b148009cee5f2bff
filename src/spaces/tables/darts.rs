//! Cells of DARTS, equal in normal and reduction cells.

use crate::spaces::{
    build::Built,
    pair_cell::{PairCell, PairOp},
    plan::{Body, PairPlan},
};

use super::{Code, ColumnFormat, build, plan};

/// The size that the table counts parameters at; the one that was trained is not stated.
const WIDTH: usize = 16;
const CELLS: usize = 8;

pub(super) const FORMAT: ColumnFormat = ColumnFormat {
    name: "DARTS cells",
    key: "genotype",
    targets: &["val_acc"],
    code: |key| Cell::parse(key).map(|cell| Some(Code::Darts(cell))),
};

/// Two operators of every node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell(PairCell);

impl Cell {
    /// From `normal|reduce`, each eight words `operator-input`, two for each node.
    pub(super) fn parse(key: &str) -> Result<Self, String> {
        match key.split_once('|') {
            Some((normal, reduce)) if normal == reduce => Self::of_words(normal),
            Some(_) => Err("has other reduction cells than normal ones".to_owned()),
            None => Err("is not normal|reduce".to_owned()),
        }
    }

    fn of_words(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let mut nodes = [[(PairOp::Zero, 0); 2]; 4];
        if words.len() != 2 * nodes.len() {
            return Err(format!("has {} operators, not 8", words.len()));
        }
        for (index, word) in words.into_iter().enumerate() {
            let node = index / 2;
            let (op, source) =
                word.split_once('-').ok_or_else(|| format!("'{word}' is not operator-input"))?;
            let source: usize = source.parse().map_err(|_| format!("'{word}' has no input"))?;
            if source >= node + 2 {
                return Err(format!("'{word}' reads a later node"));
            }
            let op = match op {
                "none" => PairOp::Zero,
                "max" => PairOp::MaxPool,
                "avg" => PairOp::AveragePool,
                "skip" => PairOp::Skip,
                "sep3" => PairOp::Separable(3),
                "sep5" => PairOp::Separable(5),
                "dil3" => PairOp::Dilated(3),
                "dil5" => PairOp::Dilated(5),
                other => return Err(format!("has an unknown operator '{other}'")),
            };
            nodes[node][index % 2] = (op, source);
        }
        // A sum has no order.
        nodes.iter_mut().for_each(|operands| operands.sort_unstable());
        Ok(Self(PairCell { nodes }))
    }

    /// A network of so many cells.
    pub(super) fn built(&self, cells: usize) -> Built {
        let pairs = PairPlan { width: WIDTH, cells, cell: self.0 };
        build(&super::Plan { body: Body::Pairs(pairs), ..plan(WIDTH, Vec::new()) }, "darts")
    }

    /// The network that the table counts.
    pub(super) fn whole(&self) -> Built {
        self.built(CELLS)
    }
}
