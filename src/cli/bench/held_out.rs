//! The graphs that benchmarks judge predictors by.

use bytes::Bytes;

use crate::{
    corpus::{self, CorpusGraph},
    fill::Network,
    graph::DimBindings,
    onnx::Model,
    ops::{Registry, Summary},
    spaces::{SampledGraph, Space, Split, Style},
};

use super::super::Failure;

/// A graph that no training saw.
#[derive(Clone, Debug)]
pub(super) struct HeldOut {
    pub name: String,
    pub seed: u64,
    /// What it is made of, unless it has a name.
    pub style: Option<Style>,
    /// See [`crate::graph::Architecture::fingerprint`].
    pub fingerprint: u64,
    pub parameters: u64,
    pub multiply_accumulates: u64,
    pub onnx: Bytes,
}

/// Graphs that are judged together.
#[derive(Clone, Debug)]
pub(super) struct HeldOutSet {
    /// The split of the corpus, or of a space's seeds.
    pub split: String,
    /// The space that they were drawn from.
    pub space: String,
    pub graphs: Vec<HeldOut>,
}

/// The first `count` graphs of every split, or of a space's test seeds where no split is given.
pub(super) fn held_out(
    space: &Space,
    splits: &[String],
    count: u64,
) -> Result<Vec<HeldOutSet>, Failure> {
    if splits.is_empty() {
        let sample = |seed| HeldOut::sampled(space.sample(seed)?);
        let graphs = Split::Test.seeds(count).map(sample).collect::<Result<_, Failure>>()?;
        return Ok(vec![HeldOutSet { split: "test".into(), space: space.name.clone(), graphs }]);
    }
    let set = |split: &String| {
        let graphs = corpus::load(split, &Registry::standard())?.into_iter().take(count as usize);
        let graphs = graphs.map(HeldOut::of).collect::<Result<_, Failure>>()?;
        Ok(HeldOutSet { split: split.clone(), space: "corpus".to_owned(), graphs })
    };
    splits.iter().map(set).collect()
}

impl HeldOut {
    fn of(graph: CorpusGraph) -> Result<Self, Failure> {
        let model = Model::from_bytes(&graph.name, graph.onnx.clone())?;
        let network = Network::of(model, DimBindings::default())?;
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

    fn sampled(graph: SampledGraph) -> Result<Self, Failure> {
        let model = Model::from_bytes(&graph.name, graph.onnx.clone())?;
        let network = Network::of(model, DimBindings::default())?;
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
