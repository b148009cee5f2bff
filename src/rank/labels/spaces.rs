//! The spaces whose graphs are labelled, and their graphs.

use std::{fs, path::Path};

use crate::{FileError, fill::Network, graph::DimBindings, onnx::Model, spaces::Space};

use super::LabelError;

/// Those that come with the crate.
pub fn ranking_spaces() -> Result<Vec<Space>, LabelError> {
    let text = include_str!("../../../architectures/ranking.toml");
    Ok(Space::list("architectures/ranking.toml", text)?)
}

/// Those of a file of the same kind.
pub fn spaces_of_file(path: &Path) -> Result<Vec<Space>, LabelError> {
    let text = fs::read_to_string(path).map_err(FileError::at(path))?;
    Ok(Space::list(&path.display().to_string(), &text)?)
}

/// The graph of a seed, resolved.
pub(super) fn network(space: &Space, seed: u64) -> Result<Network, LabelError> {
    let graph = space.sample(seed)?;
    let model =
        Model::from_bytes(&graph.name, graph.onnx).map_err(LabelError::network(&graph.name))?;
    Network::of(model, DimBindings::default()).map_err(LabelError::network(&graph.name))
}
