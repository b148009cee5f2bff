//! Files that the system refuses.

use std::{
    error::Error,
    fmt, io,
    path::{Path, PathBuf},
};

/// A file that could not be read or written. It says what the system said, so that the system's error
/// is no source of it.
#[derive(Debug)]
pub struct FileError {
    /// The file or folder.
    pub path: PathBuf,
    /// What the system said.
    pub error: io::Error,
}

impl FileError {
    /// What the error of an operation on a file becomes.
    pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        |error| Self { path, error }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{}: {}", self.path.display(), self.error)
    }
}

impl Error for FileError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}
