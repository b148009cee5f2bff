//! Writing filled networks: every file appears whole or not at all, and reports name their hashes.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::{
    FileError,
    onnx::{Sha256Writer, atomic, safetensors as st},
};

use super::{
    FileHash, FillError, Filled, Outputs, ReportedNetwork, file_name,
    records::{Written, WrittenNetwork, bom, card},
    stem,
};

/// How files are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriteOptions {
    /// Whether results of an earlier run may be replaced. The input never is.
    pub overwrite: bool,
}

impl Filled<'_> {
    /// Writes `<stem>.onnx`, `<stem>.safetensors`, `report.json`, `bom.json` and `README.md` into a folder, which is
    /// made if it is not there; the rest as [`Outputs::new`] says. Returns the files.
    ///
    /// # Errors
    ///
    /// One of them is there already, or is the input; nothing is written then. Or one cannot be
    /// written; others may be.
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
        let networks = self.networks().iter().zip(&outputs.networks);
        let networks = networks
            .map(|(network, files)| write_network(network, files))
            .collect::<Result<_, _>>()?;
        let ensemble = outputs.ensemble.as_deref();
        let ensemble = ensemble.map(|path| hashed(path, |out| self.write_ensemble(out)));
        let written = Written {
            stem: &stem(Path::new(self.network.model.name())),
            image: self.network.image_shape().ok(),
            networks,
            ensemble: ensemble.transpose()?,
            lineage: &self.lineage,
        };
        atomic::write_json(&outputs.bom, &bom(&written)).map_err(FileError::at(&outputs.bom))?;
        atomic::write(&outputs.card, |out| out.write_all(card(&written).as_bytes()))
            .map_err(FileError::at(&outputs.card))?;
        Ok(outputs.files().cloned().collect())
    }
}

/// Writes the files of one network; the hashes of the first two stand in the third, the report.
fn write_network<'a>(
    network: &'a ReportedNetwork,
    [onnx, state_dict, report]: &[PathBuf; 3],
) -> Result<WrittenNetwork<'a>, FillError> {
    let mut recorded = network.report().clone();
    let origin = recorded.origin();
    let (onnx, state_dict) = rayon::join(
        || hashed(onnx, |out| network.write_onnx(out)),
        || hashed(state_dict, |out| st::write_with(out, &network.state_dict(), &origin)),
    );
    let (onnx, state_dict) = (onnx?, state_dict?);
    recorded.files = vec![onnx.clone(), state_dict.clone()];
    let report = hashed(report, |out| {
        serde_json::to_writer_pretty(&mut *out, &recorded)?;
        out.write_all(b"\n")
    })?;
    Ok(WrittenNetwork { report: network.report(), files: [onnx, state_dict, report] })
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
