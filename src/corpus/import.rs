//! Splits of files that a script exported.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use bytes::Bytes;

use super::{
    CorpusError, CorpusGraph, find,
    recipe::{Recipe, Source},
    resolved,
};
use crate::{FileError, onnx::folder, ops::Registry};

/// The graphs of a folder, in the order of the names of their files, for a split whose recipe says that a
/// script exports them.
///
/// # Errors
///
/// The split is another one, a file cannot be read, two graphs are isomorphic, or there are more or fewer
/// than the recipe says.
pub fn import(
    split: &str,
    path: &Path,
    registry: &Registry,
) -> Result<Vec<CorpusGraph>, CorpusError> {
    let split = find(split)?;
    let Source::Export { graphs: wanted, .. } = Recipe::parse(split.name, split.recipe)?.source
    else {
        return Err(CorpusError::NotExported { split: split.name });
    };
    let mut seen: HashMap<u64, PathBuf> = HashMap::new();
    let mut graphs = Vec::new();
    for file in folder::files(path)? {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let onnx = Bytes::from(std::fs::read(&file).map_err(FileError::at(&file))?);
        let fingerprint = resolved(&name, &onnx, registry)?.fingerprint();
        if let Some(first) = seen.insert(fingerprint, file.clone()) {
            return Err(CorpusError::Isomorphic { first, second: file });
        }
        graphs.push(CorpusGraph { name, seed: None, style: None, fingerprint, onnx });
    }
    match graphs.len() == wanted {
        true => Ok(graphs),
        false => Err(CorpusError::Count {
            folder: path.to_owned(),
            found: graphs.len(),
            split: split.name,
            wanted,
        }),
    }
}
