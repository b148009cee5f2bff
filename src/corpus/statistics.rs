//! What the graphs of a split are like.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::Serialize;

use super::{CorpusError, CorpusGraph, resolved};
use crate::ops::{Registry, Summary};

/// The sizes of one graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Size {
    /// Values of all parameters, running statistics included.
    pub parameters: u64,
    /// Multiply-accumulates of convolutions and matrix products for one image.
    pub multiply_accumulates: u64,
    /// The most nodes with weights on any path.
    pub depth: u64,
    /// Number of operators.
    pub nodes: u64,
}

/// All graphs of one split.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Statistics {
    /// Its name.
    pub split: String,
    /// In the order of the split.
    pub sizes: Vec<Size>,
    /// In how many graphs an operator occurs.
    pub operators: BTreeMap<String, usize>,
}

/// Something to compare graphs by.
#[derive(Clone, Copy, Debug)]
pub struct Measure {
    /// What it is called.
    pub name: &'static str,
    /// Its value.
    pub of: fn(&Size) -> u64,
}

/// Every field of [`Size`].
pub const MEASURES: [Measure; 4] = [
    Measure { name: "parameters", of: |size| size.parameters },
    Measure { name: "multiply-accumulates", of: |size| size.multiply_accumulates },
    Measure { name: "depth", of: |size| size.depth },
    Measure { name: "operators", of: |size| size.nodes },
];

impl Statistics {
    /// Counts. `counted` is called after every graph.
    pub fn of(
        split: &str,
        graphs: &[CorpusGraph],
        registry: &Registry,
        counted: &(dyn Fn() + Sync),
    ) -> Result<Self, CorpusError> {
        let count = |graph: &CorpusGraph| {
            let summary = Summary::of(&resolved(&graph.name, &graph.onnx, registry)?, registry);
            counted();
            Ok(summary)
        };
        let summaries = graphs.par_iter().map(count).collect::<Result<Vec<_>, CorpusError>>()?;
        let mut operators = BTreeMap::new();
        for name in summaries.iter().flat_map(|summary| summary.total.operators.keys()) {
            *operators.entry(name.clone()).or_default() += 1;
        }
        let size = |summary: &Summary| Size {
            parameters: summary.total.parameters as u64,
            multiply_accumulates: summary.total.multiply_accumulates,
            depth: summary.weighted_depth as u64,
            nodes: summary.total.nodes as u64,
        };
        let sizes = summaries.iter().map(size).collect();
        Ok(Self { split: split.to_owned(), sizes, operators })
    }

    /// The value that a share of the graphs does not exceed: 0 the least, 0.5 the median.
    pub fn quantile(&self, measure: Measure, share: f64) -> u64 {
        let mut values: Vec<u64> = self.sizes.iter().map(measure.of).collect();
        values.sort_unstable();
        let place = (share * values.len().saturating_sub(1) as f64).round() as usize;
        values.get(place).copied().unwrap_or_default()
    }

    /// The share of graphs in which an operator occurs.
    pub fn share(&self, operator: &str) -> f64 {
        let count = self.operators.get(operator).copied().unwrap_or_default();
        count as f64 / self.sizes.len().max(1) as f64
    }
}
