//! A trained predictor and its folder: `config.json` + `model.safetensors`.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use burn::tensor::Device;
use half::f16;
use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};

use crate::{
    FileError,
    encoder::NodeEncoder,
    neural::{self, Entry},
    onnx::safetensors::{Entry as Stored, write as write_safetensors},
    ops::Vocabulary,
};

use super::{FORMAT_VERSION, Network, PredictorConfig, PredictorError, Seen};

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
    /// SHA-256 of `config.json` followed by `model.safetensors`, in hexadecimal.
    pub hash: String,
}

impl Predictor {
    /// Loads a folder.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, PredictorError> {
        let read = |name: &str| {
            let path = folder.join(name);
            match std::fs::read(&path) {
                Ok(bytes) => Ok((path, bytes)),
                Err(error) => Err(PredictorError::from(FileError { path, error })),
            }
        };
        let (config_path, config) = read("config.json")?;
        let (model_path, model) = read("model.safetensors")?;
        let mut predictor = Self::from_bytes([config_path, model_path], &config, &model, device)?;
        predictor.seen = Seen::load(folder)?;
        Ok(predictor)
    }

    /// Loads the contents of the two files; the paths are for errors.
    pub fn from_bytes(
        [config_path, model_path]: [PathBuf; 2],
        config_bytes: &[u8],
        model_bytes: &[u8],
        device: &Device,
    ) -> Result<Self, PredictorError> {
        let in_config =
            |problem: String| PredictorError::Checkpoint { path: config_path.clone(), problem };
        let config: PredictorConfig =
            serde_json::from_slice(config_bytes).map_err(|error| in_config(error.to_string()))?;
        if config.format_version != FORMAT_VERSION {
            return Err(in_config(format!(
                "format_version {} is not {FORMAT_VERSION}; use the version of weightsmith that wrote it",
                config.format_version
            )));
        }
        let vocabulary = Vocabulary::from_names(config.vocabulary.clone());
        if vocabulary.hash() != config.vocabulary_hash {
            return Err(in_config("vocabulary_hash does not match vocabulary".to_owned()));
        }
        let network = Network::new(&config.network, &config.input, vocabulary.len(), device);
        let values = read_values(&neural::entries(&network), model_bytes)
            .map_err(|problem| PredictorError::Checkpoint { path: model_path, problem })?;
        let network = neural::with_values(network, &values, device);
        let hash = Sha256::new().chain_update(config_bytes).chain_update(model_bytes).finalize();
        let (device, hash) = (device.clone(), hex(&hash));
        let (node_encoder, seen) = (None, Seen::default());
        Ok(Self { config, network, vocabulary, node_encoder, device, seen, hash })
    }

    /// Writes `config.json` and `model.safetensors` (half precision). Each file is replaced
    /// atomically.
    pub fn save(
        folder: &Path,
        config: &PredictorConfig,
        entries: &[Entry],
        values: &[f32],
    ) -> Result<(), PredictorError> {
        std::fs::create_dir_all(folder).map_err(FileError::at(folder))?;
        let mut start = 0;
        let stored: Vec<Stored> = entries
            .iter()
            .map(|entry| {
                let range = start..start + entry.len();
                start = range.end;
                let data = values[range].iter().flat_map(|&v| f16::from_f32(v).to_le_bytes());
                Stored::new(entry.name.clone(), Dtype::F16, entry.shape.clone(), data.collect())
            })
            .collect();
        let path = folder.join("model.safetensors");
        crate::onnx::atomic::write(&path, |out| write_safetensors(out, &stored))
            .map_err(FileError::at(&path))?;
        let mut json =
            serde_json::to_vec_pretty(config).map_err(|error| PredictorError::Checkpoint {
                path: folder.join("config.json"),
                problem: error.to_string(),
            })?;
        json.push(b'\n');
        let path = folder.join("config.json");
        crate::onnx::atomic::write(&path, |out| out.write_all(&json))
            .map_err(FileError::at(&path))?;
        Ok(())
    }
}

/// The flat values of a module from a safetensors file; names and shapes must match exactly.
fn read_values(entries: &[Entry], bytes: &[u8]) -> Result<Vec<f32>, String> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    if file.len() != entries.len() {
        return Err(format!(
            "holds {} tensors, config.json asks for {}",
            file.len(),
            entries.len()
        ));
    }
    let mut values = Vec::with_capacity(entries.iter().map(Entry::len).sum());
    for entry in entries {
        let name = &entry.name;
        let tensor = file.tensor(name).map_err(|_| format!("tensor '{name}' is missing"))?;
        if tensor.shape() != entry.shape {
            return Err(format!(
                "tensor '{name}' has shape {:?}, config.json asks for {:?}",
                tensor.shape(),
                entry.shape
            ));
        }
        let data = tensor.data();
        match tensor.dtype() {
            Dtype::F16 => values.extend(
                data.as_chunks::<2>().0.iter().map(|&bytes| f16::from_le_bytes(bytes).to_f32()),
            ),
            Dtype::F32 => values
                .extend(data.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes))),
            other => {
                return Err(format!("tensor '{name}' has type {other:?}; F16 or F32 is needed"));
            }
        }
    }
    Ok(values)
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
