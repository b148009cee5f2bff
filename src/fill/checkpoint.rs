//! A checkpoint of a zoo as files.

use std::path::{Path, PathBuf};

use crate::{
    FileError,
    onnx::{
        atomic,
        splice::{self, Changes},
    },
    zoo::{Foreign, Record, Wanted, Zoo},
};

use super::{FillError, Network, TOOL, fills, provenance::metadata_name};

/// Writes a checkpoint of a zoo as an ONNX file, and its tensors as a safetensors file beside it, whose
/// path is returned. Files that are there already are replaced.
///
/// # Errors
///
/// The network is not the checkpoint's graph, the checkpoint cannot be read, or a file not be written.
pub fn export_checkpoint(
    zoo: &Zoo,
    record: &Record,
    network: &Network,
    path: &Path,
) -> Result<PathBuf, FillError> {
    let (found, wanted) = (network.architecture.fingerprint(), record.fingerprint);
    if found != wanted {
        return Err(FillError::OtherGraph { file: network.model.name().to_owned(), found, wanted });
    }
    let weights = zoo.weights(record, &network.architecture)?;
    let changes = Changes { metadata: metadata(record), ..fills(network, &weights) };
    let tensors = zoo.tensors(record)?;
    let beside = path.with_extension("safetensors");
    atomic::write(&beside, |out| out.write_all(tensors.bytes())).map_err(FileError::at(&beside))?;
    atomic::write(path, |out| splice::write(&network.model, &changes, out))
        .map_err(FileError::at(path))?;
    Ok(beside)
}

/// Where the weights come from.
fn metadata(record: &Record) -> Vec<(String, String)> {
    let mut entries = vec![
        ("tool", TOOL.to_owned()),
        ("tensors", record.tensors.clone()),
        ("steps", record.step.to_string()),
        ("licence", record.licence.clone()),
    ];
    if let Some(lineage) = &record.lineage {
        entries.push(("predictor", lineage.predictor.clone()));
        entries.push(("predictor_hash", lineage.hash.clone()));
    }
    entries.into_iter().map(|(name, value)| (metadata_name(name), value)).collect()
}

impl Network {
    /// Weights that others trained, from a safetensors or ONNX file; see [`Foreign::read`].
    pub fn foreign_weights(&self, path: &Path) -> Result<Foreign, FillError> {
        let parameters = self.architecture.parameters.iter().zip(&self.names).enumerate();
        let wanted: Vec<Wanted> = parameters
            .map(|(index, (parameter, name))| Wanted {
                initializer: &parameter.name,
                state_dict: name,
                transposed: self.transposed(index),
                shape: parameter.shape.as_deref().unwrap_or_default(),
            })
            .collect();
        Ok(Foreign::read(path, &wanted)?)
    }
}
