//! The network file that a command reads.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::{fill::Network, graph::DimBindings, onnx::Model};

use super::Failure;

/// The network a command reads.
#[derive(Clone, Debug, Args)]
pub struct NetworkArgs {
    /// The network, an ONNX file with or without weights
    #[arg(value_name = "MODEL.onnx")]
    pub model: PathBuf,
    /// Size of a symbolic dimension; those not given are 1
    #[arg(long = "dim", value_name = "NAME=SIZE", value_parser = parse_dim)]
    pub dims: Vec<(String, usize)>,
}

fn parse_dim(text: &str) -> Result<(String, usize), String> {
    let (name, size) = text.split_once('=').ok_or("expected NAME=SIZE, for example batch=1")?;
    let size = size.parse().ok().filter(|&size| size > 0);
    Ok((name.to_owned(), size.ok_or("SIZE must be a positive number")?))
}

impl NetworkArgs {
    /// Reads the file.
    pub fn read(&self) -> Result<Network, Failure> {
        Network::of(Model::open(&self.model)?, DimBindings::new(self.dims.iter().cloned()))
    }
}

/// The file name without its extension.
pub fn stem(path: &Path) -> String {
    path.file_stem().map_or_else(|| "model".to_owned(), |stem| stem.to_string_lossy().into_owned())
}
