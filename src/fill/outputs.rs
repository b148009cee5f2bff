//! Where the files of a filled network go.

use std::path::{Path, PathBuf};

use crate::FileError;

use super::{FillError, Network, records::is_own_card};

/// The files that are written for a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outputs {
    /// Network, state dict and report of every sample that is kept.
    pub networks: Vec<[PathBuf; 3]>,
    /// All of them as one.
    pub ensemble: Option<PathBuf>,
    /// The bill of materials.
    pub bom: PathBuf,
    /// The model card.
    pub card: PathBuf,
    /// What they are made from, unless it was read from memory.
    inputs: Vec<PathBuf>,
}

impl Outputs {
    /// The files of a network of which so many samples are kept: `<stem>.onnx`, `<stem>.safetensors`
    /// and `report.json`, of further samples `<stem>.1.onnx` and so on, and `<stem>.ensemble.onnx` if
    /// there is to be one; for all of them `bom.json` and `README.md`.
    pub fn new(network: &Network, folder: &Path, samples: usize, ensemble: bool) -> Self {
        let input = network.model.path();
        let stem = stem(input.unwrap_or(Path::new(network.model.name())));
        let of = |sample: usize| {
            let number = if sample == 0 { String::new() } else { format!(".{sample}") };
            [
                format!("{stem}{number}.onnx"),
                format!("{stem}{number}.safetensors"),
                format!("report{number}.json"),
            ]
            .map(|name| folder.join(name))
        };
        Self {
            networks: (0..samples).map(of).collect(),
            ensemble: ensemble.then(|| folder.join(format!("{stem}.ensemble.onnx"))),
            bom: folder.join("bom.json"),
            card: folder.join("README.md"),
            inputs: input.map(Path::to_owned).into_iter().collect(),
        }
    }

    /// As they are, made from further files, too.
    pub fn made_from(mut self, files: impl IntoIterator<Item = PathBuf>) -> Self {
        self.inputs.extend(files);
        self
    }

    /// All files: those of the networks, the ensemble, and what describes them.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.networks.iter().flatten().chain(&self.ensemble).chain([&self.bom, &self.card])
    }

    /// Refuses to replace an input, and files that are there already unless they may be overwritten. A
    /// `README.md` that somebody wrote is never replaced.
    ///
    /// # Errors
    ///
    /// [`FillError::IsInput`], [`FillError::Exists`], [`FillError::ForeignCard`], or an input is gone.
    pub fn check(&self, overwrite: bool) -> Result<(), FillError> {
        let whole = |input: &PathBuf| input.canonicalize().map_err(FileError::at(input));
        let inputs: Vec<PathBuf> = self.inputs.iter().map(whole).collect::<Result<_, _>>()?;
        for file in self.files() {
            let path = || file.clone();
            if file.canonicalize().is_ok_and(|file| inputs.contains(&file)) {
                return Err(FillError::IsInput { path: path() });
            }
            if file.exists() && !overwrite {
                return Err(FillError::Exists { path: path() });
            }
        }
        match std::fs::read(&self.card) {
            Ok(bytes) if !is_own_card(&bytes) => {
                Err(FillError::ForeignCard { path: self.card.clone() })
            }
            _ => Ok(()),
        }
    }
}

/// The name of a file without its folder.
pub fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The name of a file without its folder and extension.
pub fn stem(path: &Path) -> String {
    path.file_stem().map_or_else(|| "model".to_owned(), |stem| stem.to_string_lossy().into_owned())
}
