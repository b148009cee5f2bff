//! The files of a predictor, from a folder or from the binary.

use std::{
    borrow::Cow,
    path::{Component, Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::FileError;

use super::{
    Base, Card, FORMAT_VERSION, OutlookTable, PredictorConfig, PredictorError, Seen,
    config::OLDEST_FORMAT_VERSION,
    embedded::{BUNDLED, EMBEDDED},
    outlook::FILE as OUTLOOK,
    storage::ModelFile,
};

/// The contents of a predictor's folder.
pub(super) struct Files {
    /// The folder; `None` for files from the binary.
    folder: Option<PathBuf>,
    /// `config.json` and its name in errors.
    config: (PathBuf, Cow<'static, [u8]>),
    /// `model.safetensors` and its name in errors.
    model: (PathBuf, Cow<'static, [u8]>),
    /// The sketches.
    pub seen: Seen,
    /// What to expect of its predictions, where that was measured.
    pub outlook: Option<OutlookTable>,
    /// What its card says, if it has one.
    pub card: Card,
}

impl Files {
    /// Reads a folder.
    pub fn read(folder: &Path) -> Result<Self, PredictorError> {
        let read = |name: &str| {
            let path = folder.join(name);
            match std::fs::read(&path) {
                Ok(bytes) => Ok((path, Cow::Owned(bytes))),
                Err(error) => Err(PredictorError::from(FileError { path, error })),
            }
        };
        Ok(Self {
            folder: Some(folder.to_owned()),
            config: read("config.json")?,
            model: read("model.safetensors")?,
            seen: Seen::load(folder)?,
            outlook: OutlookTable::load(folder)?,
            card: match std::fs::read(folder.join("README.md")) {
                Ok(bytes) => Card::parse(&String::from_utf8_lossy(&bytes)),
                Err(_) => Card::default(),
            },
        })
    }

    /// Those of a predictor inside the binary.
    pub fn embedded(name: &str) -> Result<Self, PredictorError> {
        let Some(embedded) = EMBEDDED.iter().find(|embedded| embedded.name == name) else {
            let (name, bundled) = (name.to_owned(), BUNDLED.join(", "));
            return Err(PredictorError::Unknown { name, bundled });
        };
        let path = |file: &str| PathBuf::from(format!("<bundled {name}>")).join(file);
        let seen = Seen::from_bytes(embedded.sketches).map_err(|error| {
            PredictorError::Checkpoint { path: path("*.sketch"), problem: error.to_string() }
        })?;
        let outlook = embedded.outlook.map(|bytes| OutlookTable::parse(&path(OUTLOOK), bytes));
        Ok(Self {
            folder: None,
            config: (path("config.json"), Cow::Borrowed(embedded.config)),
            model: (path("model.safetensors"), Cow::Borrowed(embedded.model)),
            seen,
            outlook: outlook.transpose()?,
            card: Card::parse(&String::from_utf8_lossy(embedded.card)),
        })
    }

    /// A predictor to build on: the folder of that name beside the given one, or else the bundled one.
    pub fn beside(folder: Option<&Path>, name: &str) -> Result<Self, PredictorError> {
        let mut parts = Path::new(name).components();
        let is_name = matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None));
        match folder.map(|folder| folder.join("..").join(name)) {
            Some(sibling) if is_name && sibling.is_dir() => Self::read(&sibling),
            _ => Self::embedded(name),
        }
    }

    /// The predictor that this one builds on.
    pub fn base(&self, base: &Base) -> Result<Self, PredictorError> {
        let Base { name, hash } = base;
        let files = match Self::beside(self.folder.as_deref(), name) {
            Err(PredictorError::Unknown { bundled, .. }) => {
                return Err(self.misconfigured(format!(
                    "builds on predictor '{name}', which is neither in a folder beside this one nor \
                     bundled; bundled are {bundled}"
                )));
            }
            files => files?,
        };
        match files.hash() {
            own if own == *hash => Ok(files),
            own => Err(self.misconfigured(format!(
                "builds on predictor '{name}' with hash {hash}, but {} has {own}; take both from the \
                 same release",
                files.config.0.display()
            ))),
        }
    }

    /// Reads `config.json`.
    pub fn config(&self) -> Result<PredictorConfig, PredictorError> {
        let config: PredictorConfig = serde_json::from_slice(&self.config.1)
            .map_err(|error| self.misconfigured(error.to_string()))?;
        match config.format_version {
            OLDEST_FORMAT_VERSION..=FORMAT_VERSION => Ok(config),
            other => Err(self.misconfigured(format!(
                "format_version {other} is not one of {OLDEST_FORMAT_VERSION} to {FORMAT_VERSION}; \
                 use the version of weightsmith that wrote it"
            ))),
        }
    }

    /// Reads the header of `model.safetensors`.
    pub fn model(&self) -> Result<ModelFile<'_>, PredictorError> {
        ModelFile::parse(&self.model.0, &self.model.1)
    }

    /// SHA-256 of `config.json` followed by `model.safetensors`, in hexadecimal.
    pub fn hash(&self) -> String {
        let files = [&self.config.1, &self.model.1];
        format!("{:x}", files.into_iter().fold(Sha256::new(), Sha256::chain_update).finalize())
    }

    /// Something is wrong with `config.json`.
    pub fn misconfigured(&self, problem: String) -> PredictorError {
        PredictorError::Checkpoint { path: self.config.0.clone(), problem }
    }
}
