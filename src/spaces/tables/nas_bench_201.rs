//! NAS-Bench-201: a cell of four nodes with an operator on every edge, three stages of five.

use serde_json::{Map, Value};

use crate::spaces::{
    build::{Built, GraphBuilder},
    cell::EdgeOp,
    named::cell::network,
};

use super::{Code, EdgeCell, Format};

/// Cells of a stage.
pub(super) const CELLS: usize = 5;

pub(super) const FORMAT: Format = Format {
    name: "NAS-Bench-201",
    target: "accuracy as the file has it",
    records,
    code: |key| Cell::parse(key).map(Code::NasBench201),
    accuracy: |record: &Value| record.as_f64(),
};

fn records(json: &Value) -> Option<&Map<String, Value>> {
    let map = json.as_object()?;
    map.keys().next().is_some_and(|key| key.starts_with('|')).then_some(map)
}

/// The operators of all edges. Edges that lead nowhere stay, as in the benchmark.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell(EdgeCell);

impl Cell {
    /// From the benchmark's string: per node `|op~source|op~source|`, nodes joined by `+`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let nodes: Vec<&str> = text.trim().split('+').collect();
        let mut edges = [[None; 4]; 4];
        if nodes.len() != edges.len() - 1 {
            return Err(format!("has {} nodes, not 3", nodes.len()));
        }
        for (index, node) in nodes.iter().enumerate() {
            let to = index + 1;
            let parts: Vec<&str> = node.split('|').filter(|part| !part.is_empty()).collect();
            if parts.len() != to {
                return Err(format!("node {to} has {} edges, not {to}", parts.len()));
            }
            for (from, part) in parts.into_iter().enumerate() {
                let op = match part.split_once('~') {
                    Some((op, source)) if source.parse() == Ok(from) => op,
                    _ => return Err(format!("edge '{part}' should come from node {from}")),
                };
                edges[from][to] = match op {
                    "none" => None,
                    "skip_connect" => Some(EdgeOp::Skip),
                    "nor_conv_1x1" => Some(EdgeOp::Conv1),
                    "nor_conv_3x3" => Some(EdgeOp::Conv3),
                    "avg_pool_3x3" => Some(EdgeOp::AveragePool),
                    other => return Err(format!("has an unknown operator '{other}'")),
                };
            }
        }
        Ok(Self(EdgeCell { edges }))
    }

    /// The network with so many cells to a stage.
    pub(super) fn built(&self, cells: usize) -> Built {
        let (mut net, image) = GraphBuilder::new("nas-bench-201", [3, 32, 32]);
        let logits = network(&mut net, &image, &self.0, cells);
        net.build(&logits)
    }
}
