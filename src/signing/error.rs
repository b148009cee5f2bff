//! Why files cannot be signed, or a signature not be checked.

use std::path::PathBuf;

use crate::FileError;

/// Why files cannot be signed, or a signature not be checked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SigningError {
    /// A file that could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file that holds no key that is known here.
    #[error("{}: {problem}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What it holds, and what to do.
        problem: String,
    },
    /// A folder without files, or none that are not left out.
    #[error("{}: no files to sign", path.display())]
    NothingToSign {
        /// The folder.
        path: PathBuf,
    },
    /// What cannot be signed: a symbolic link, a device, or a name that is not UTF-8.
    #[error("{}: {problem}; take it out of the folder", path.display())]
    NotSignable {
        /// Where it is.
        path: PathBuf,
        /// What it is.
        problem: &'static str,
    },
    /// A file that is no signature bundle, or a damaged one.
    #[error("{}: not a model signature: {problem}", path.display())]
    Bundle {
        /// The file.
        path: PathBuf,
        /// What is wrong with which field.
        problem: String,
    },
    /// A bundle that is as it should be, and that asks for more than can be checked here.
    #[error("{}: {problem}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What it asks for, and what is known.
        problem: String,
    },
    /// A signature that the key did not make over this statement.
    #[error("{}: {}", path.display(), match other_key {
        true => "was signed with another key",
        false => "its statement was changed after it was signed",
    })]
    Signature {
        /// The file.
        path: PathBuf,
        /// Whether the bundle names another key.
        other_key: bool,
    },
}
