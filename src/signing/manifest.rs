//! The files of a model and their hashes.

use std::{collections::BTreeMap, path::Path};

use sha2::{Digest, Sha256};

use super::{
    Difference, SigningError,
    difference::differences,
    files,
    resource::{Resource, Serialization, from_hex},
};

/// What a signature vouches for: every file of a model, with its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Name of the folder or file; it may be called otherwise today.
    pub model: String,
    /// How files were listed and hashed.
    pub serialization: Serialization,
    /// The files, or pieces of them, each named once.
    pub resources: Vec<Resource>,
}

impl Manifest {
    /// Hashes all files of a folder, or a single file. The signature does not count.
    ///
    /// # Errors
    ///
    /// There are none, one cannot be read, or is no file that can be signed.
    pub fn of(model: &Path, signature: &Path) -> Result<Self, SigningError> {
        let serialization = Serialization::of_files(files::path_within(model, signature));
        let name = files::name(model)?;
        let mut resources = files::hashed(model, &name, &serialization, signature)?;
        if resources.is_empty() {
            return Err(SigningError::NothingToSign { path: model.to_owned() });
        }
        resources.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { model: name, serialization, resources })
    }

    /// How a folder, or a single file, differs from what was signed; in the order of names.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or is none that could have been signed.
    pub fn differences(
        &self,
        model: &Path,
        signature: &Path,
    ) -> Result<Vec<Difference>, SigningError> {
        let name = match self.resources.first() {
            Some(first) if first.is_unnamed() => ".".to_owned(),
            _ => files::name(model)?,
        };
        let found = files::hashed(model, &name, &self.serialization, signature)?;
        Ok(differences(&self.digests(), &found.iter().map(Resource::pair).collect()))
    }

    /// Whether this is of a single file of some name, rather than of a folder.
    pub fn is_of_file(&self, name: &str) -> bool {
        let file = |resource: &Resource| {
            let path = resource.path(&self.serialization);
            path == "." || path == name
        };
        !self.resources.is_empty() && self.resources.iter().all(file)
    }

    /// Hash by name.
    fn digests(&self) -> BTreeMap<&str, &str> {
        self.resources.iter().map(Resource::pair).collect()
    }

    /// SHA-256 over the hashes of all files, in hexadecimal: one name for the whole model.
    pub fn root_digest(&self) -> String {
        let hasher = self.resources.iter().fold(Sha256::new(), |hasher, resource| {
            hasher.chain_update(from_hex(&resource.digest).unwrap_or_default())
        });
        format!("{:x}", hasher.finalize())
    }
}
