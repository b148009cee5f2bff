//! The spaces whose graphs are labelled, and their graphs.

use std::{fs, path::Path};

use crate::{FileError, fill::Network, graph::DimBindings, onnx::Model, spaces::Space};

use super::LabelError;

/// Those of a file, or else those that come with the crate.
pub fn ranking_spaces(file: Option<&Path>) -> Result<Vec<Space>, LabelError> {
    let Some(path) = file else {
        let text = include_str!("../../../architectures/ranking.toml");
        return Ok(Space::list("architectures/ranking.toml", text)?);
    };
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{execute::Program, rank::Live};

    #[test]
    fn every_space_gives_graphs_that_can_be_trained() {
        let spaces = ranking_spaces(None).unwrap();
        let names: BTreeSet<&str> = spaces.iter().map(|space| space.name.as_str()).collect();
        assert!(names.len() >= 20 && names.len() == spaces.len());
        for space in &spaces {
            for seed in 0..2 {
                let network = network(space, seed).unwrap();
                let program = Program::compile(&network.architecture, &network.registry);
                assert!(program.is_ok(), "{}-{seed}: {:?}", space.name, program.err());
            }
        }
    }

    #[test]
    fn cells_may_be_dead() {
        let spaces = ranking_spaces(None).unwrap();
        let broken = spaces.iter().find(|space| space.name == "rank-cells-201-broken").unwrap();
        let dead = |seed| {
            let network = network(broken, seed).unwrap();
            Live::of(&network.architecture, &network.registry).dead
        };
        assert!((0..8).any(|seed| dead(seed) > 0));
    }
}
