//! `weightsmith zoo import`

use std::path::PathBuf;

use burn::tensor::Device;
use clap::Args;
use serde_json::json;

use crate::{
    FileError,
    data::Split,
    evaluate::judge,
    fill::{Network, NetworkImages, descent, file_name},
    onnx::sha256,
    predictor::{BUNDLED, Predictor, bundled},
    zoo::{Provenance, Relation, Score, Zoo, ZooHeader, import},
};

use super::{
    super::{Common, Exit, Failure, print, print_json},
    ZooArgs, start,
};

/// Add a network that others trained, its channels in the order of the predictor's.
#[derive(Debug, Args)]
pub(super) struct Import {
    /// The weights, by PyTorch's names or by those of the graph
    #[arg(value_name = "FILE.safetensors|FILE.onnx")]
    file: PathBuf,
    /// The graph they belong to
    #[arg(long, value_name = "FILE.onnx")]
    graph: PathBuf,
    #[command(flatten)]
    zoo: ZooArgs,
    /// Predictor whose weights say the order of channels: a folder, or the name of a bundled one
    #[arg(long, value_name = "PREDICTOR", default_value = BUNDLED[0])]
    predictor: String,
    /// SPDX expression of the licence of the weights; what the file says, or else NOASSERTION, if not given
    #[arg(long, value_name = "TEXT")]
    licence: Option<String>,
    /// The file of a network that it was made of; what the file says if none is given
    #[arg(long, value_name = "FILE", requires = "relation")]
    base_model: Vec<PathBuf>,
    /// What it is to them: merge, adapter or finetune
    #[arg(long, value_name = "RELATION", requires = "base_model")]
    relation: Option<Relation>,
    /// A data set; how good the network is on its validation images is recorded
    #[arg(long, value_name = "DATA")]
    data: Option<PathBuf>,
    /// What the network is called; the name of the graph's file if not given
    #[arg(long)]
    name: Option<String>,
}

impl Import {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let network = Network::open(&self.graph)?;
        if let Some(problem) = network.unsupported().first() {
            return Err(format!("{}: {problem}", self.graph.display()).into());
        }
        let foreign = network.foreign_weights(&self.file)?;
        let predictor = bundled(&self.predictor, &Device::flex())?;
        let mut zoo = self.open_or_create(&predictor)?;
        let weights = &foreign.weights;
        let (mut descent, licence) = descent(&self.file)?;
        if self.relation.is_some() {
            let hash =
                |path: &PathBuf| Ok(sha256(&std::fs::read(path).map_err(FileError::at(path))?));
            descent.base_models =
                self.base_model.iter().map(hash).collect::<Result<_, Failure>>()?;
            descent.relation = self.relation;
        }
        let validation = self.data.as_deref().map(|data| {
            let data = NetworkImages::open(data, Split::Val, &network)?.data;
            let Network { architecture, registry, .. } = &network;
            let input = network.input_config(&predictor.config.input);
            let scores = judge(architecture, registry, weights, &data, &input, data.len())?;
            Ok::<_, Failure>(Score { loss: scores.cross_entropy, accuracy: scores.top1 })
        });
        let provenance = Provenance {
            name: self.name.clone().unwrap_or_else(|| file_name(&self.graph)),
            licence: self.licence.clone().or(licence).unwrap_or_else(|| "NOASSERTION".to_owned()),
            descent,
            validation: validation.transpose()?,
        };
        let imported = import(
            &mut zoo,
            &network.architecture,
            &network.registry,
            weights,
            &predictor,
            provenance,
        )?;
        let [before, after] = imported.distances;
        let tensors = &imported.record.tensors;
        if common.json {
            print_json(&json!({
                "schema": 1,
                "zoo": zoo.folder(),
                "fingerprint": format!("{:016x}", imported.record.fingerprint),
                "tensors": tensors,
                "descent": imported.record.descent,
                "validation": imported.record.validation,
                "predictor": self.predictor,
                "predictor_hash": predictor.hash,
                "distance_before": before,
                "distance": after,
                "unused": foreign.unused,
            }))?;
        } else {
            print(&format!(
                "{}: {after:.3} of the norm of {}'s weights away from them, {before:.3} as given",
                start(tensors),
                self.predictor
            ))?;
            for name in &foreign.unused {
                print(&format!("note: tensor '{name}' is no parameter of the graph"))?;
            }
        }
        Ok(Exit::Success)
    }

    /// The zoo; a new one holds networks for the images that the predictor's networks read.
    fn open_or_create(&self, predictor: &Predictor) -> Result<Zoo, Failure> {
        let folder = &self.zoo.zoo;
        if Zoo::is_at(folder) {
            return self.zoo.open();
        }
        let header = ZooHeader::for_imports(file_name(folder), predictor);
        Ok(Zoo::create(folder, &header)?)
    }
}
