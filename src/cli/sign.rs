//! `weightsmith sign`, and `--sign` of the commands that write folders.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::signing::{self, Manifest, PrivateKey, SIGNATURE};

use super::{Common, Exit, Failure, print, print_json};

/// Sign a file, or all files of a folder, as the OpenSSF Model Signing specification 1.0 says. Whoever has the public
/// key can tell that every file is as it was: with `weightsmith verify`, or with any other program that reads
/// such signatures.
#[derive(Debug, Args)]
pub struct Sign {
    /// A folder or a file
    path: PathBuf,
    /// The private key, of P-256 or P-384 in PEM (PKCS #8)
    #[arg(long, value_name = "KEY.pem")]
    key: PathBuf,
    /// The signature; by default model.sig in the folder, or FILE.sig beside the file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace an earlier signature
    #[arg(long)]
    force: bool,
}

impl Sign {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let key = PrivateKey::open(&self.key)?;
        let signature = self.out.clone().unwrap_or_else(|| usual_signature(&self.path));
        free(&signature, self.force)?;
        let manifest = signing::sign(&self.path, &key, &signature)?;
        let Manifest { resources, .. } = &manifest;
        if common.json {
            print_json(&json!({
                "schema": 1,
                "path": self.path,
                "signature": signature,
                "key": key.hint(),
                "digest": manifest.root_digest(),
                "files": resources.iter().map(|resource| &resource.name).collect::<Vec<_>>(),
            }))?;
        } else {
            print(&format!("signed {} files with key {}", resources.len(), key.hint()))?;
            print(&format!("wrote {}", signature.display()))?;
        }
        Ok(Exit::Success)
    }
}

/// Where the signature of a folder or file is, if nobody says otherwise.
pub(super) fn usual_signature(model: &Path) -> PathBuf {
    match model.is_dir() {
        true => model.join(SIGNATURE),
        false => PathBuf::from(format!("{}.sig", model.display())),
    }
}

/// Refuses to replace a signature.
fn free(signature: &Path, force: bool) -> Result<(), Failure> {
    match signature.exists() && !force {
        true => {
            Err(format!("{}: exists already; add --force to replace it", signature.display())
                .into())
        }
        false => Ok(()),
    }
}

/// The flag of commands that write a folder.
#[derive(Debug, Args)]
pub(super) struct SigningArgs {
    /// Sign all files of the folder with a private key at last (DIR/model.sig)
    #[arg(long, value_name = "KEY.pem")]
    sign: Option<PathBuf>,
}

/// A folder that is to be signed once it is written.
pub(super) struct Signing {
    key: PrivateKey,
    folder: PathBuf,
}

impl SigningArgs {
    /// Reads the key and sees that there is room for the signature, before any work is done; `None` without the
    /// flag.
    pub(super) fn prepare(&self, folder: &Path, force: bool) -> Result<Option<Signing>, Failure> {
        let Some(path) = &self.sign else { return Ok(None) };
        free(&folder.join(SIGNATURE), force)?;
        Ok(Some(Signing { key: PrivateKey::open(path)?, folder: folder.to_owned() }))
    }
}

impl Signing {
    /// Signs what the folder holds now; the signature.
    pub(super) fn sign(self) -> Result<PathBuf, Failure> {
        let signature = self.folder.join(SIGNATURE);
        signing::sign(&self.folder, &self.key, &signature)?;
        Ok(signature)
    }
}
