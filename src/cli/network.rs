//! The network file that a command reads.

use std::path::PathBuf;

use clap::Args;

use crate::{
    fill::{FillError, Network, OpenOptions},
    graph::DimBindings,
};

/// The network a command reads.
#[derive(Clone, Debug, Args)]
pub struct NetworkArgs {
    /// The network, an ONNX file with or without weights
    #[arg(value_name = "MODEL.onnx")]
    pub model: PathBuf,
    /// Size of a symbolic dimension; those not given are 1
    #[arg(long = "dim", value_name = "NAME=SIZE", value_parser = parse_dim)]
    pub dims: Vec<(String, usize)>,
    /// A tensor that keeps its value, by its name in the file or in PyTorch's state dict
    #[arg(long, value_name = "NAME", num_args = 1..)]
    pub keep: Vec<String>,
}

fn parse_dim(text: &str) -> Result<(String, usize), String> {
    let (name, size) = text.split_once('=').ok_or("expected NAME=SIZE, for example batch=1")?;
    let size = size.parse().ok().filter(|&size| size > 0);
    Ok((name.to_owned(), size.ok_or("SIZE must be a positive number")?))
}

impl NetworkArgs {
    /// Reads the file.
    pub fn read(&self) -> Result<Network, FillError> {
        Network::open_with(&self.model, &self.options())
    }

    /// How the file is read.
    pub fn options(&self) -> OpenOptions {
        let dims = DimBindings::new(self.dims.iter().cloned());
        OpenOptions { dims, keep: self.keep.clone(), ..OpenOptions::default() }
    }
}
