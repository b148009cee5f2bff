//! Writing filled networks: every file appears whole or not at all, and reports name their hashes.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::{
    FileError,
    onnx::{Sha256Writer, atomic, safetensors as st},
};

use super::{FileHash, FillError, Filled, Outputs, ReportedNetwork, file_name};

/// How files are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriteOptions {
    /// Whether results of an earlier run may be replaced. The input never is.
    pub overwrite: bool,
}

impl Filled<'_> {
    /// Writes `<stem>.onnx`, `<stem>.safetensors` and `report.json` into a folder, which is made if it
    /// is not there; the rest as [`Outputs::new`] says. Returns the files.
    ///
    /// # Errors
    ///
    /// One of them is there already, or is the input; nothing is written then. Or one cannot be
    /// written; those before it are.
    pub fn write(&self, folder: impl AsRef<Path>) -> Result<Vec<PathBuf>, FillError> {
        self.write_with(folder, &WriteOptions::default())
    }

    /// As [`Filled::write`], with options.
    pub fn write_with(
        &self,
        folder: impl AsRef<Path>,
        options: &WriteOptions,
    ) -> Result<Vec<PathBuf>, FillError> {
        let folder = folder.as_ref();
        let outputs = Outputs::new(self.network, folder, self.networks().len(), self.ensemble);
        outputs.check(options.overwrite)?;
        std::fs::create_dir_all(folder).map_err(FileError::at(folder))?;
        for (network, files) in self.networks().iter().zip(&outputs.networks) {
            write_network(network, files)?;
        }
        if let Some(path) = &outputs.ensemble {
            hashed(path, |out| self.write_ensemble(out))?;
        }
        Ok(outputs.files().cloned().collect())
    }
}

/// Writes the files of one network; their hashes stand in the report.
fn write_network(
    network: &ReportedNetwork,
    [onnx, state_dict, report]: &[PathBuf; 3],
) -> Result<(), FillError> {
    let mut recorded = network.report().clone();
    recorded.files = vec![
        hashed(onnx, |out| network.write_onnx(out))?,
        hashed(state_dict, |out| st::write(out, &network.state_dict()))?,
    ];
    let json = |out: &mut dyn Write| {
        serde_json::to_writer_pretty(&mut *out, &recorded)?;
        out.write_all(b"\n")
    };
    atomic::write(report, json).map_err(FileError::at(report))?;
    Ok(())
}

/// Writes a file; its name and the SHA-256 of its content.
fn hashed(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<FileHash, FillError> {
    let mut sha256 = String::new();
    let written = atomic::write(path, |out| {
        let mut out = Sha256Writer::new(out);
        fill(&mut out)?;
        sha256 = out.finish();
        Ok(())
    });
    written.map_err(FileError::at(path))?;
    Ok(FileHash { name: file_name(path), sha256 })
}
