//! The corpus: graphs to learn from and graphs to be judged by, the same for everybody.
//!
//! A split is a row of [`splits`]: `architectures/corpus/<split>.toml` says what its graphs are drawn
//! from or which script exports them, `architectures/corpus/<split>.archs.xz` holds them. No graph of a
//! split is isomorphic to another one, or to one of a split before it ([`Architecture::fingerprint`]), so
//! that what is held out is never met in training, under whatever name.
//!
//! [`Architecture::fingerprint`]: crate::graph::Architecture::fingerprint

mod error;
mod generate;
mod import;
mod picture;
mod recipe;
mod record;
mod statistics;

use std::collections::HashSet;

use bytes::Bytes;
use rayon::prelude::*;

use crate::{
    graph::Architecture,
    onnx::Model,
    ops::{Registry, resolve, resolve_with_input},
    spaces::{self, Space, Style},
};

pub use error::CorpusError;
pub use generate::generate;
pub use import::import;
pub use picture::picture;
use recipe::{Recipe, Source};
pub use record::{pack, unpack};
pub use statistics::{MEASURES, Measure, Size, Statistics};

/// One split.
struct Split {
    name: &'static str,
    recipe: &'static str,
    archs: &'static [u8],
}

macro_rules! splits {
    ($($name:literal)*) => {
        const NAMES: &[&str] = &[$($name),*];
        static SPLITS: &[Split] = &[$(Split {
            name: $name,
            recipe: include_str!(concat!("../../architectures/corpus/", $name, ".toml")),
            archs: include_bytes!(concat!("../../architectures/corpus/", $name, ".archs.xz")),
        }),*];
    };
}

// In this order; a split leaves out what stands in those before it.
splits! {
    "named" "id" "wide" "deep" "dense" "norm-free" "new-op" "attention" "real" "flatten" "validation" "train"
}

/// One architecture of the corpus.
#[derive(Clone, Debug, PartialEq)]
pub struct CorpusGraph {
    /// `<space>-<seed>`, or the name of a named network; also the graph's name.
    pub name: String,
    /// The seed it was drawn with.
    pub seed: Option<u64>,
    /// What it is made of, where it was drawn.
    pub style: Option<Style>,
    /// See [`Architecture::fingerprint`](crate::graph::Architecture::fingerprint).
    pub fingerprint: u64,
    /// The ONNX file, without weights.
    pub onnx: Bytes,
}

/// The names of all splits: those held out, then `validation` and `train`.
pub fn splits() -> &'static [&'static str] {
    NAMES
}

/// The graphs of a split, in an order that stays. Those of `train` are drawn anew from their seeds,
/// which takes seconds.
pub fn load(split: &str, registry: &Registry) -> Result<Vec<CorpusGraph>, CorpusError> {
    let split = find(split)?;
    let graphs = record::unpack(split.name, split.archs)?;
    let Source::Space(source) = Recipe::parse(split.name, split.recipe)?.source else {
        return Ok(graphs);
    };
    if graphs.iter().all(|graph| !graph.onnx.is_empty()) {
        return Ok(graphs);
    }
    let space = source.space()?;
    let draw = |graph: CorpusGraph| {
        let drawn = space.sample(graph.seed.unwrap_or_default())?;
        match resolved(&drawn.name, &drawn.onnx, registry)?.fingerprint() == graph.fingerprint {
            true => Ok(CorpusGraph { onnx: drawn.onnx, ..graph }),
            false => Err(CorpusError::Drifted { split: split.name, graph: graph.name }),
        }
    };
    graphs.into_par_iter().map(draw).collect()
}

/// How many graphs a split holds.
pub fn size(split: &str) -> Result<usize, CorpusError> {
    let split = find(split)?;
    Ok(Recipe::parse(split.name, split.recipe)?.size())
}

/// Fingerprints of all graphs that no training may meet: every split but `train`.
pub fn held_out() -> Result<HashSet<u64>, CorpusError> {
    let mut fingerprints = HashSet::new();
    for split in SPLITS.iter().filter(|split| split.name != "train") {
        let graphs = record::unpack(split.name, split.archs)?;
        fingerprints.extend(graphs.iter().map(|graph| graph.fingerprint));
    }
    Ok(fingerprints)
}

/// The graphs of [`held_out`], those of them that a script exports also at the space's size of images, and
/// those of the first 500 validation and 500 test seeds of a space: what must not be learned from where graphs
/// are drawn from that space.
pub fn held_out_with(space: &Space, registry: &Registry) -> Result<HashSet<u64>, CorpusError> {
    let splits = [spaces::Split::Validation, spaces::Split::Test];
    let seeds: Vec<u64> = splits.into_iter().flat_map(|split| split.seeds(500)).collect();
    let fingerprint = |seed| {
        let drawn = space.sample(seed)?;
        Ok(resolved(&drawn.name, &drawn.onnx, registry)?.fingerprint())
    };
    let mut fingerprints = held_out()?;
    let of_space: Result<HashSet<u64>, CorpusError> =
        seeds.into_par_iter().map(fingerprint).collect();
    fingerprints.extend(of_space?);
    let [_, height, width] = space.input;
    fingerprints.extend(exported_at([height, width], registry)?);
    Ok(fingerprints)
}

/// Fingerprints of the graphs that scripts export, at another size of images; those that cannot be resized
/// have none.
fn exported_at(
    [height, width]: [usize; 2],
    registry: &Registry,
) -> Result<HashSet<u64>, CorpusError> {
    let mut graphs = Vec::new();
    for split in SPLITS {
        if let Source::Export { .. } = Recipe::parse(split.name, split.recipe)?.source {
            graphs.extend(record::unpack(split.name, split.archs)?);
        }
    }
    let fingerprint = |graph: CorpusGraph| {
        let mut architecture = match resolved(&graph.name, &graph.onnx, registry) {
            Ok(architecture) => architecture,
            Err(error) => return Some(Err(error)),
        };
        let shape = architecture.inputs.first()?.shape.as_deref()?;
        let &[batch, channels, ..] = shape else { return None };
        let shape = [batch, channels, height, width];
        resolve_with_input(&mut architecture, &shape, registry).ok()?;
        Some(Ok(architecture.fingerprint()))
    };
    graphs.into_par_iter().filter_map(fingerprint).collect()
}

fn find(name: &str) -> Result<&'static Split, CorpusError> {
    SPLITS
        .iter()
        .find(|split| split.name == name)
        .ok_or_else(|| CorpusError::Unknown { split: name.to_owned(), known: NAMES.join(", ") })
}

/// The graph of a file, resolved.
fn resolved(name: &str, onnx: &Bytes, registry: &Registry) -> Result<Architecture, CorpusError> {
    let model = Model::from_bytes(name, onnx.clone())?;
    let mut architecture = Architecture::from_model(&model)?;
    resolve(&mut architecture, registry)?;
    Ok(architecture)
}
