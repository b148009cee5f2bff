//! Drawing the splits.

use std::collections::HashSet;

use bytes::Bytes;
use rayon::prelude::*;

use super::{
    CorpusError, CorpusGraph, SPLITS,
    recipe::{Recipe, Source, SpaceSource, named},
    record, resolved,
};
use crate::ops::Registry;

/// Draws all splits, in order: their names and their graphs, without those whose seeds are enough. What a
/// script exported is taken as it is stored.
/// `drawn` is told the number of graphs whenever some are ready.
pub fn generate(
    registry: &Registry,
    drawn: &(dyn Fn(usize) + Sync),
) -> Result<Vec<(&'static str, Vec<CorpusGraph>)>, CorpusError> {
    let mut seen = HashSet::new();
    let draw = |split: &super::Split| {
        let graphs = match Recipe::parse(split.name, split.recipe)?.source {
            Source::Named { input } => {
                let graphs: Vec<_> = named(input)
                    .map(|named| {
                        let onnx = Bytes::from(named.onnx());
                        let fingerprint = resolved(named.name, &onnx, registry)?.fingerprint();
                        let name = named.name.to_owned();
                        Ok(CorpusGraph { name, seed: None, style: None, fingerprint, onnx })
                    })
                    .collect::<Result<_, CorpusError>>()?;
                seen.extend(graphs.iter().map(|graph| graph.fingerprint));
                drawn(graphs.len());
                graphs
            }
            Source::Space(source) => sample(split.name, &source, registry, &mut seen, drawn)?,
            Source::Export { .. } => {
                let graphs = record::unpack(split.name, split.archs)?;
                seen.extend(graphs.iter().map(|graph| graph.fingerprint));
                drawn(graphs.len());
                graphs
            }
        };
        Ok((split.name, graphs))
    };
    SPLITS.iter().map(draw).collect()
}

/// The first graphs of a space that were not seen before.
fn sample(
    split: &'static str,
    source: &SpaceSource,
    registry: &Registry,
    seen: &mut HashSet<u64>,
    drawn: &(dyn Fn(usize) + Sync),
) -> Result<Vec<CorpusGraph>, CorpusError> {
    let space = source.space()?;
    let mut seeds = source.seeds.seeds(u64::MAX);
    let mut graphs = Vec::new();
    while graphs.len() < source.graphs {
        let batch: Vec<u64> = seeds.by_ref().take(source.graphs - graphs.len()).collect();
        if batch.is_empty() {
            let (found, wanted) = (graphs.len(), source.graphs);
            return Err(CorpusError::Exhausted { split, found, wanted });
        }
        let batch: Vec<CorpusGraph> = batch
            .into_par_iter()
            .map(|seed| {
                let graph = space.sample(seed)?;
                let fingerprint = resolved(&graph.name, &graph.onnx, registry)?.fingerprint();
                let onnx = if source.seeds_only { Bytes::new() } else { graph.onnx };
                let (seed, style) = (Some(seed), Some(graph.style));
                drawn(1);
                Ok(CorpusGraph { name: graph.name, seed, style, fingerprint, onnx })
            })
            .collect::<Result<_, CorpusError>>()?;
        graphs.extend(batch.into_iter().filter(|graph| seen.insert(graph.fingerprint)));
    }
    Ok(graphs)
}
