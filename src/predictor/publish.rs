//! Folders of predictors that are small to carry.

use std::path::Path;

use burn::tensor::Device;

use crate::{FileError, neural};

use super::{
    Base, FORMAT_VERSION, Predictor, PredictorError,
    checkpoint::{split, write},
    files::Files,
    storage,
};

impl Predictor {
    /// Writes the predictor of folder `from` to folder `to`, small to carry: with packed tensors, and on
    /// top of the predictor named `base`, if there is one, without the tensors and the sketched hashes
    /// that are the same there. The base is looked for beside `to` and then among the bundled ones.
    pub fn publish(from: &Path, to: &Path, base: Option<&str>) -> Result<(), PredictorError> {
        let Self { mut config, network, mut seen, .. } = Self::load(from, &Device::flex())?;
        std::fs::create_dir_all(to).map_err(FileError::at(to))?;
        let (entries, values) = (neural::entries(&network), neural::values(&network));
        let mut tensors = Vec::with_capacity(entries.len());
        for (entry, values) in split(&entries, &values) {
            let Some(stored) = storage::compact(entry, values) else {
                return Err(PredictorError::Tensor {
                    path: from.join("model.safetensors"),
                    tensor: entry.name.clone(),
                    problem: "holds values that are too large or no numbers".to_owned(),
                });
            };
            tensors.push(stored);
        }
        (config.format_version, config.base) = (FORMAT_VERSION, None);
        if let Some(name) = base {
            let files = Files::beside(Some(to), name)?;
            let model = files.model()?;
            tensors.retain(|stored| !stored.iter().all(|tensor| model.holds(tensor)));
            seen = seen.without(&files.seen);
            config.base = Some(Base { name: name.to_owned(), hash: files.hash() });
        }
        write(to, &config, tensors.into_iter().flatten().collect())?;
        seen.save(to)
    }
}
