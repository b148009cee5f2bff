//! What a report says that can be checked.

use std::path::Path;

use serde::Deserialize;

use crate::FileError;

use super::super::{FileHash, FillError, Provenance};

/// A report as it is read from `report.json`.
#[derive(Clone, Debug, Deserialize)]
pub struct RecordedReport {
    /// Who wrote the weights.
    pub provenance: Provenance,
    /// The file that was filled.
    pub input: FileHash,
    /// The files that were written beside the report.
    pub files: Vec<FileHash>,
    /// Where batch-normalisation statistics were measured: `learned`, `data` or `none`.
    pub calibration: String,
    /// Names of the classes in the order of the outputs, where they are known.
    #[serde(default)]
    pub classes: Option<Vec<String>>,
    /// Every parameter.
    pub tensors: Vec<RecordedTensor>,
}

/// One parameter.
#[derive(Clone, Debug, Deserialize)]
pub struct RecordedTensor {
    /// Name in the ONNX file.
    pub initializer: String,
    /// SHA-256 of its bytes in the ONNX file, in hexadecimal; not for tensors without values.
    pub sha256: Option<String>,
}

impl RecordedReport {
    /// Reads a report.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or lacks what files are checked against.
    pub fn open(path: &Path) -> Result<Self, FillError> {
        let bytes = std::fs::read(path).map_err(FileError::at(path))?;
        serde_json::from_slice(&bytes)
            .map_err(|problem| FillError::Report { path: path.to_owned(), problem })
    }

    /// Refuses weights that something else than a predictor wrote: they cannot be made again.
    ///
    /// # Errors
    ///
    /// [`FillError::FineTuned`], [`FillError::Merged`].
    pub fn check_predicted(&self) -> Result<(), FillError> {
        match (&self.provenance.finetuned, &self.provenance.merged) {
            (Some(_), _) => Err(FillError::FineTuned),
            (_, Some(_)) => Err(FillError::Merged),
            _ => Ok(()),
        }
    }

    /// The file whose name ends so, if one was written.
    pub(super) fn file(&self, ending: &str) -> Option<&FileHash> {
        self.files.iter().find(|file| file.name.ends_with(ending))
    }
}
