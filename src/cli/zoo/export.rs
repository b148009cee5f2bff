//! `weightsmith zoo export`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::{
    fill::{Network, export_checkpoint},
    graph::DimBindings,
    onnx::Model,
    ops::Registry,
};

use super::{
    super::{Common, Exit, Failure, output::Replace, print, print_json},
    ZooArgs,
};

/// Write a checkpoint as an ONNX file with weights, and its tensors beside it.
#[derive(Debug, Args)]
pub(super) struct Export {
    #[command(flatten)]
    zoo: ZooArgs,
    /// Hash of the checkpoint's tensors, or the start of it
    #[arg(value_name = "SHA")]
    id: String,
    /// The graph, where the zoo cannot draw it again
    #[arg(long, value_name = "FILE.onnx")]
    graph: Option<PathBuf>,
    /// Where it goes; the tensors go beside it as .safetensors
    #[arg(long, value_name = "FILE.onnx")]
    out: PathBuf,
    #[command(flatten)]
    replace: Replace,
}

impl Export {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let zoo = self.zoo.open()?;
        let records = zoo.find(&self.id)?;
        let record = records[0];
        if records.iter().any(|other| other.tensors != record.tensors) {
            let count = records.len();
            return Err(
                format!("'{}' stands for {count} checkpoints; give more digits", self.id).into()
            );
        }
        let model = match &self.graph {
            Some(path) => Model::open(path)?,
            None => zoo.graph(record, &Registry::standard())?.0,
        };
        let network = Network::of(model, DimBindings::default())?;
        self.replace.vacant(&[&self.out, &self.out.with_extension("safetensors")])?;
        let tensors = export_checkpoint(&zoo, record, &network, &self.out)?;
        if common.json {
            print_json(&json!({
                "schema": 1,
                "tensors": record.tensors,
                "onnx": self.out,
                "safetensors": tensors,
            }))?;
        } else {
            print(&format!("{} and {}", self.out.display(), tensors.display()))?;
        }
        Ok(Exit::Success)
    }
}
