//! `weightsmith zoo export`

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::{
    fill::{Network, fills},
    graph::DimBindings,
    onnx::{
        Model, atomic,
        splice::{self, Changes},
    },
    ops::Registry,
    zoo::{Record, Tensors},
};

use super::{
    super::{Common, Exit, Failure, print, print_json},
    ZooArgs, matching,
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
}

impl Export {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let zoo = self.zoo.open()?;
        let records = matching(&zoo, &self.id)?;
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
        let found = network.architecture.fingerprint();
        if found != record.fingerprint {
            return Err(format!(
                "{} is graph {found:016x}; the checkpoint is of graph {:016x}",
                network.model.name(),
                record.fingerprint
            )
            .into());
        }
        let weights = zoo.weights(record, &network.architecture)?;
        let changes = Changes { metadata: metadata(record), ..fills(&network, &weights) };
        let tensors = self.out.with_extension("safetensors");
        save(&tensors, &zoo.tensors(record)?)?;
        atomic::write(&self.out, |out| splice::write(&network.model, &changes, out))
            .map_err(|error| format!("{}: {error}", self.out.display()))?;
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

fn save(path: &Path, tensors: &Tensors) -> Result<(), Failure> {
    let written = atomic::write(path, |out| out.write_all(tensors.bytes()));
    written.map_err(|error| format!("{}: {error}", path.display()).into())
}

/// Where the weights come from.
fn metadata(record: &Record) -> Vec<(String, String)> {
    let mut entries = vec![
        ("weightsmith.tool", format!("weightsmith {}", env!("CARGO_PKG_VERSION"))),
        ("weightsmith.tensors", record.tensors.clone()),
        ("weightsmith.steps", record.step.to_string()),
        ("weightsmith.licence", record.licence.clone()),
    ];
    if let Some(lineage) = &record.lineage {
        entries.push(("weightsmith.predictor", lineage.predictor.clone()));
        entries.push(("weightsmith.predictor_hash", lineage.hash.clone()));
    }
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
