//! A checkpoint of a zoo as files.

use std::path::{Path, PathBuf};

use crate::{
    FileError,
    graph::{Form, Parameter, ParameterId, Weights},
    onnx::{
        Model, atomic,
        folder::is_onnx,
        sha256,
        splice::{self, Changes},
    },
    zoo::{Descent, Foreign, Record, Relation, Wanted, Zoo},
};

use super::{
    FillError, Network, TOOL, fills,
    metadata::{MERGED, PARENTS, RELATION, metadata_name},
    parent::licence,
    stored::StoredTensor,
    torch::is_transposed,
};

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
    if let Some(Descent { base_models, relation: Some(relation), .. }) = &record.descent {
        entries.push((PARENTS, base_models.join(" ")));
        entries.push((RELATION, relation.to_string()));
    }
    entries.into_iter().map(|(name, value)| (metadata_name(name), value)).collect()
}

/// What a file says of what its weights were made of, and of their licence: ONNX files that were merged, fine-tuned or
/// adapted here do.
///
/// # Errors
///
/// The file cannot be read.
pub fn descent(path: &Path) -> Result<(Descent, Option<String>), FillError> {
    if !is_onnx(path) {
        let file = sha256(&std::fs::read(path).map_err(FileError::at(path))?);
        return Ok((Descent { file, base_models: Vec::new(), relation: None }, None));
    }
    let model = Model::open(path)?;
    let file = sha256(model.bytes());
    let entry = |name| model.metadata(&metadata_name(name));
    let parents = entry(PARENTS).unwrap_or_default().split_whitespace();
    let merged = entry(MERGED).map(|_| Relation::Merge);
    let relation = entry(RELATION).and_then(|name| name.parse().ok()).or(merged);
    let base_models = parents.map(str::to_owned).collect();
    Ok((Descent { file, base_models, relation }, licence(&model)))
}

impl Network {
    /// Weights that others trained, from a safetensors or ONNX file; see [`Foreign::read`].
    pub fn foreign_weights(&self, path: &Path) -> Result<Foreign, FillError> {
        let onnx = is_onnx(path);
        let form = if onnx { Form::Tensors } else { Form::Parameters };
        let entries = self.entries(form);
        let wanted: Vec<Wanted> = entries
            .iter()
            .map(|(tensor, state_dict)| Wanted {
                initializer: &tensor.name,
                state_dict,
                transposed: is_transposed(tensor),
                shape: tensor.shape.as_deref().unwrap_or_default(),
            })
            .collect();
        let Foreign { weights, unused } = Foreign::read(path, &wanted)?;
        let mut read = weights.by_parameter().map(|values| values.unwrap_or_default());
        let mut composed = Weights::absent(self.architecture.parameters.len());
        for index in 0..self.architecture.parameters.len() {
            match self.architecture.storage_of(ParameterId(index)) {
                Some((storage, place)) if storage.is_in(form) => {
                    if place > 0 {
                        continue;
                    }
                    let parts: Vec<&[f32]> = read.by_ref().take(storage.tensors.len()).collect();
                    let values = storage.map.parameters(&parts);
                    for (&id, values) in storage.parameters.iter().zip(values) {
                        composed.set(id, values);
                    }
                }
                _ => composed.set(ParameterId(index), read.next().unwrap_or_default().to_vec()),
            }
        }
        Ok(Foreign { weights: composed, unused })
    }

    /// What another file may hold of this network, with its names in a state dict: the tensors of the
    /// file, or what PyTorch keeps.
    fn entries(&self, form: Form) -> Vec<(&Parameter, &str)> {
        let mut entries = Vec::new();
        let stored = self.tensors();
        for (index, parameter) in self.architecture.parameters.iter().enumerate() {
            match self.architecture.storage_of(ParameterId(index)) {
                Some((storage, place)) if storage.is_in(form) => {
                    let own = |it: &&StoredTensor| it.parameter == ParameterId(index) && place == 0;
                    let own = stored.iter().filter(own);
                    entries.extend(own.map(|it| (it.tensor, it.state_dict)));
                }
                _ => entries.push((parameter, self.names[index].as_str())),
            }
        }
        entries
    }
}
