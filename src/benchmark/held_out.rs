//! The graphs that benchmarks evaluate predictors on.

use bytes::Bytes;

use crate::{
    corpus::{self, CorpusGraph},
    fill::Network,
    graph::DimBindings,
    onnx::Model,
    ops::{Registry, Summary},
    spaces::{SampledGraph, Space, Split, Style},
};

use super::BenchmarkError;

/// A graph that no training saw.
#[derive(Clone, Debug)]
pub struct HeldOut {
    /// Unique among held-out graphs.
    pub name: String,
    /// What it was drawn from; 0 for a network of the literature.
    pub seed: u64,
    /// What it is made of; `None` for a network of the literature.
    pub style: Option<Style>,
    /// See [`crate::graph::Architecture::fingerprint`].
    pub fingerprint: u64,
    /// Learned values.
    pub parameters: u64,
    /// For one image.
    pub multiply_accumulates: u64,
    /// The weightless network.
    pub onnx: Bytes,
}

/// Held-out graphs that are evaluated together.
#[derive(Clone, Debug)]
pub struct HeldOutSet {
    /// The split of the corpus, or of a space's seeds.
    pub split: String,
    /// The space that they were drawn from.
    pub space: String,
    /// In the order of the split.
    pub graphs: Vec<HeldOut>,
}

/// The first `count` graphs of every split of the corpus, or of a space's test seeds where no split is
/// given.
pub fn held_out(
    space: &Space,
    splits: &[String],
    count: u64,
) -> Result<Vec<HeldOutSet>, BenchmarkError> {
    if splits.is_empty() {
        let sample = |seed| HeldOut::sampled(space.sample(seed)?);
        let graphs = Split::Test.seeds(count).map(sample).collect::<Result<_, BenchmarkError>>()?;
        return Ok(vec![HeldOutSet { split: "test".into(), space: space.name.clone(), graphs }]);
    }
    let set = |split: &String| {
        let graphs = corpus::load(split, &Registry::standard())?.into_iter().take(count as usize);
        let graphs = graphs.map(HeldOut::of_corpus).collect::<Result<_, BenchmarkError>>()?;
        Ok(HeldOutSet { split: split.clone(), space: "corpus".to_owned(), graphs })
    };
    splits.iter().map(set).collect()
}

impl HeldOut {
    /// The graph, resolved.
    pub fn network(&self) -> Result<Network, BenchmarkError> {
        read(&self.name, self.onnx.clone())
    }

    fn of_corpus(graph: CorpusGraph) -> Result<Self, BenchmarkError> {
        let network = read(&graph.name, graph.onnx.clone())?;
        let summary = Summary::of(&network.architecture, &network.registry).total;
        Ok(Self {
            name: graph.name,
            seed: graph.seed.unwrap_or_default(),
            style: graph.style,
            fingerprint: graph.fingerprint,
            parameters: summary.parameters as u64,
            multiply_accumulates: summary.multiply_accumulates,
            onnx: graph.onnx,
        })
    }

    fn sampled(graph: SampledGraph) -> Result<Self, BenchmarkError> {
        let network = read(&graph.name, graph.onnx.clone())?;
        Ok(Self {
            name: graph.name,
            seed: graph.seed,
            style: Some(graph.style),
            fingerprint: network.architecture.fingerprint(),
            parameters: graph.parameters,
            multiply_accumulates: graph.multiply_accumulates,
            onnx: graph.onnx,
        })
    }
}

/// Reads and resolves a network.
pub(super) fn read(name: &str, onnx: Bytes) -> Result<Network, BenchmarkError> {
    resolved(Model::from_bytes(name, onnx)?)
}

/// Resolves the graph of a model.
pub(super) fn resolved(model: Model) -> Result<Network, BenchmarkError> {
    Network::of(model, DimBindings::default()).map_err(BenchmarkError::network)
}
