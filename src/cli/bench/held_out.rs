//! The graphs that benchmarks judge predictors by.

use bytes::Bytes;

use crate::{
    corpus::{self, CorpusGraph},
    graph::DimBindings,
    onnx::Model,
    ops::{Summary, registry},
    spaces::{SampledGraph, Space, Split, Style},
};

use super::super::{Failure, network::Network};

/// A graph that no training saw.
#[derive(Clone, Debug)]
pub(super) struct HeldOut {
    pub name: String,
    pub seed: u64,
    /// The split of the corpus that it is from.
    pub split: Option<String>,
    /// What it is made of, unless it has a name.
    pub style: Option<Style>,
    pub parameters: u64,
    pub multiply_accumulates: u64,
    pub onnx: Bytes,
}

/// The first `count` graphs of every split, or of a space's test seeds where no split is given.
pub(super) fn held_out(
    space: &Space,
    splits: &[String],
    count: u64,
) -> Result<Vec<HeldOut>, Failure> {
    if splits.is_empty() {
        let sample = |seed| Ok(space.sample(seed)?.into());
        return Split::Test.seeds(count).map(sample).collect();
    }
    let mut graphs = Vec::new();
    for split in splits {
        for graph in corpus::load(split)?.into_iter().take(count as usize) {
            graphs.push(HeldOut::of(split, graph)?);
        }
    }
    Ok(graphs)
}

impl HeldOut {
    fn of(split: &str, graph: CorpusGraph) -> Result<Self, Failure> {
        let model = Model::from_bytes(&graph.name, graph.onnx.clone())?;
        let network = Network::of(model, DimBindings::default())?;
        let summary = Summary::of(&network.architecture, registry()).total;
        Ok(Self {
            name: graph.name,
            seed: graph.seed.unwrap_or_default(),
            split: Some(split.to_owned()),
            style: graph.style,
            parameters: summary.parameters as u64,
            multiply_accumulates: summary.multiply_accumulates,
            onnx: graph.onnx,
        })
    }
}

impl From<SampledGraph> for HeldOut {
    fn from(graph: SampledGraph) -> Self {
        Self {
            name: graph.name,
            seed: graph.seed,
            split: None,
            style: Some(graph.style),
            parameters: graph.parameters,
            multiply_accumulates: graph.multiply_accumulates,
            onnx: graph.onnx,
        }
    }
}
