//! A trained predictor and its folder: `config.json` + `model.safetensors`.

use std::{path::Path, sync::Arc};

use burn::tensor::Device;

use crate::{
    FileError,
    encoder::NodeEncoder,
    neural::{self, Entry},
    onnx::{
        atomic,
        safetensors::{Entry as Stored, write as write_safetensors},
    },
    ops::Vocabulary,
};

use super::{
    Card, Network, OutlookTable, PredictorConfig, PredictorError, Seen,
    files::Files,
    storage::{self, Tensor},
};

/// A trained predictor on a device.
#[derive(Debug)]
pub struct Predictor {
    /// Its configuration.
    pub config: PredictorConfig,
    /// The network with trained values.
    pub network: Network,
    /// Operators the encoder knows.
    pub vocabulary: Vocabulary,
    /// What gives the further features of nodes that it was trained with, if there are any.
    pub node_encoder: Option<Arc<dyn NodeEncoder>>,
    /// Where it computes.
    pub device: Device,
    /// What it was trained on, where that is recorded.
    pub seen: Seen,
    /// What to expect of its predictions, where that was measured. One that is anchored at the estimate
    /// of the predictor that it builds on has that of the other.
    pub outlook_table: Option<OutlookTable>,
    /// What its card says of its licence and its training data, and that of the predictor that it builds on.
    pub card: Card,
    /// SHA-256 of `config.json` followed by `model.safetensors`, in hexadecimal. The former names the
    /// hash of the predictor that this one builds on, if it does.
    pub hash: String,
}

impl Predictor {
    /// Loads a folder. The predictor that it builds on, if it does, is looked for beside the folder and
    /// then among the bundled ones.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, PredictorError> {
        Self::from_files(&Files::read(folder)?, device)
    }

    pub(super) fn from_files(files: &Files, device: &Device) -> Result<Self, PredictorError> {
        let config = files.config()?;
        let vocabulary = Vocabulary::from_names(config.vocabulary.clone());
        if vocabulary.hash() != config.vocabulary_hash {
            return Err(files.misconfigured("vocabulary_hash does not match vocabulary".to_owned()));
        }
        let base = config.base.as_ref().map(|base| files.base(base)).transpose()?;
        let network = Network::new(&config.network, &config.input, vocabulary.len(), device);
        let models: Vec<_> =
            std::iter::once(files).chain(&base).map(Files::model).collect::<Result<_, _>>()?;
        let values = storage::read(&neural::entries(&network), &models)?;
        let anchored = config.network.diffusion.as_ref().is_some_and(|it| it.anchored);
        let measured = [Some(files), base.as_ref().filter(|_| anchored)];
        let outlook_table = measured.into_iter().flatten().find_map(|files| {
            let width = config.network.encoder.width;
            files.outlook.clone().filter(|table| table.is_of(&files.hash(), width))
        });
        Ok(Self {
            network: neural::with_values(network, &values, device),
            config,
            vocabulary,
            node_encoder: None,
            device: device.clone(),
            seen: base.iter().fold(files.seen.clone(), |seen, base| seen.union(&base.seen)),
            outlook_table,
            card: base.iter().fold(files.card.clone(), |card, base| card.or(base.card.clone())),
            hash: files.hash(),
        })
    }

    /// Writes `config.json` and `model.safetensors`, in half precision and whole: it builds on no
    /// other predictor. Each file is replaced atomically.
    pub fn save(
        folder: &Path,
        config: &PredictorConfig,
        entries: &[Entry],
        values: &[f32],
    ) -> Result<(), PredictorError> {
        let tensors = split(entries, values).map(|(entry, values)| storage::half(entry, values));
        write(folder, &PredictorConfig { base: None, ..config.clone() }, tensors.collect())
    }
}

/// Writes the two files.
pub(super) fn write(
    folder: &Path,
    config: &PredictorConfig,
    tensors: Vec<Tensor>,
) -> Result<(), PredictorError> {
    std::fs::create_dir_all(folder).map_err(FileError::at(folder))?;
    let path = folder.join("model.safetensors");
    let stored: Vec<Stored> = tensors.into_iter().map(Stored::from).collect();
    atomic::write(&path, |out| write_safetensors(out, &stored)).map_err(FileError::at(&path))?;
    let path = folder.join("config.json");
    Ok(atomic::write_json(&path, config).map_err(FileError::at(&path))?)
}

/// Each entry with its values.
pub(super) fn split<'a>(
    entries: &'a [Entry],
    mut values: &'a [f32],
) -> impl Iterator<Item = (&'a Entry, &'a [f32])> {
    entries.iter().map(move |entry| {
        let (own, rest) = values.split_at(entry.len());
        values = rest;
        (entry, own)
    })
}
