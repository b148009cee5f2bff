//! NAS-Bench-101: a cell of up to seven vertices, three stacks of three.

use std::cmp::Ordering;

use serde_json::Value;

use crate::spaces::{build::Built, cell::VertexOp};

use super::{Block, Code, Down, Format, Stage, VertexCell, build, plan};

/// Vertices of a key, input and output included.
const VERTICES: usize = 7;

pub(super) const FORMAT: Format = Format {
    name: "NAS-Bench-101",
    target: "CIFAR-10 validation accuracy, one run a key",
    records: |json| json.get("nasbench101")?.get("cifar10")?.as_object(),
    code: |key| Cell::parse(key).map(Code::NasBench101),
    accuracy: |record: &Value| record.get("val_accuracy")?.as_f64(),
};

/// A pruned cell as its key has it. It compares as its canonical order of vertices does: channels
/// that do not divide evenly go to the first vertices, so the order shows in the network, if barely.
#[derive(Clone, Debug)]
pub struct Cell {
    cell: VertexCell,
    canonical: VertexCell,
}

impl Cell {
    /// From 49 entries of the adjacency matrix and 7 operators, as Python writes a tuple.
    pub(super) fn parse(key: &str) -> Result<Self, String> {
        let inner = key.trim().strip_prefix('(').and_then(|key| key.strip_suffix(')'));
        let numbers = inner.unwrap_or_default().split(',').map(|number| number.trim().parse());
        let numbers: Vec<usize> =
            numbers.collect::<Result<_, _>>().map_err(|_| "is no tuple of numbers".to_owned())?;
        if numbers.len() != VERTICES * (VERTICES + 1) {
            return Err(format!("has {} numbers, not 56", numbers.len()));
        }
        let (matrix, ops) = numbers.split_at(VERTICES * VERTICES);
        let mut edges = Vec::new();
        for (from, row) in matrix.chunks(VERTICES).enumerate() {
            for (to, _) in row.iter().enumerate().filter(|(_, edge)| **edge != 0) {
                if from >= to {
                    return Err(format!("has an edge from vertex {from} back to {to}"));
                }
                edges.push((from, to));
            }
        }
        let op = |number: &usize| match number {
            2 => Ok(VertexOp::MaxPool),
            3 => Ok(VertexOp::Conv(1)),
            4 => Ok(VertexOp::Conv(3)),
            other => Err(format!("has an unknown operator {other}")),
        };
        let [_, interior @ .., _] = ops else { return Err("has no operators".to_owned()) };
        let ops = interior.iter().map(op).collect::<Result<_, _>>()?;
        let cell = VertexCell { ops, edges }.pruned();
        match cell.edges.is_empty() {
            true => Err("leads nowhere".to_owned()),
            false => Ok(Self { canonical: canonical(&cell), cell }),
        }
    }

    pub(super) fn built(&self) -> Built {
        self.stacked(3)
    }

    /// One cell to a stack.
    pub(super) fn reduced(&self) -> Built {
        self.stacked(1)
    }

    fn stacked(&self, cells: usize) -> Built {
        let stage = |(width, down)| {
            let block = Block::VertexCell { width, cell: self.cell.clone() };
            Stage { down, blocks: vec![block; cells], theme: None }
        };
        let pooled = Some(Down::MaxPool);
        let stages = [(128, None), (256, pooled), (512, pooled)].map(stage);
        build(&plan(128, stages.to_vec()), "nas-bench-101")
    }
}

impl Ord for Cell {
    fn cmp(&self, other: &Self) -> Ordering {
        key(&self.canonical).cmp(&key(&other.canonical))
    }
}

impl PartialOrd for Cell {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Cell {
    fn eq(&self, other: &Self) -> bool {
        self.canonical == other.canonical
    }
}

impl Eq for Cell {}

fn key(cell: &VertexCell) -> (Vec<usize>, &[(usize, usize)]) {
    (cell.ops.iter().map(|op| number(*op)).collect(), &cell.edges)
}

fn number(op: VertexOp) -> usize {
    match op {
        VertexOp::MaxPool => 0,
        VertexOp::Conv(kernel) => kernel,
    }
}

/// The least of all topological orders of the same cell. There are at most 5! of them.
fn canonical(cell: &VertexCell) -> VertexCell {
    let interior = cell.ops.len();
    let mut orders = vec![Vec::new()];
    for _ in 0..interior {
        orders = orders
            .into_iter()
            .flat_map(|order: Vec<usize>| {
                let free: Vec<usize> =
                    (0..interior).filter(|vertex| !order.contains(vertex)).collect();
                free.into_iter().map(move |vertex| [&order[..], &[vertex]].concat())
            })
            .collect();
    }
    let arranged = orders.iter().filter_map(|order| {
        // The vertex at each place, and back: input and output stay.
        let place = |vertex: usize| match vertex {
            0 => Some(0),
            vertex if vertex == interior + 1 => Some(vertex),
            vertex => order.iter().position(|&it| it + 1 == vertex).map(|place| place + 1),
        };
        let mut edges = Vec::with_capacity(cell.edges.len());
        for &(from, to) in &cell.edges {
            let (from, to) = (place(from)?, place(to)?);
            edges.push((from < to).then_some((from, to))?);
        }
        edges.sort_unstable();
        Some(VertexCell { ops: order.iter().map(|&it| cell.ops[it]).collect(), edges })
    });
    arranged.min_by(|a, b| key(a).cmp(&key(b))).unwrap_or_else(|| cell.clone())
}
