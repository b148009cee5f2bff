//! A file that only grows: one JSON value a line, written as soon as it is known. What a killed run left
//! half written is passed over.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use serde::{Serialize, de::DeserializeOwned};

use crate::FileError;

/// The file, open for further lines.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: Mutex<File>,
}

impl Journal {
    /// Opens or creates a file. Returns what it holds, too; lines of another kind are passed over.
    pub fn open<T: DeserializeOwned>(path: &Path) -> Result<(Self, Vec<T>), FileError> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(FileError::at(path))?;
        }
        let file =
            OpenOptions::new().create(true).append(true).open(path).map_err(FileError::at(path))?;
        let text = fs::read(path).map_err(FileError::at(path))?;
        if text.last().is_some_and(|byte| *byte != b'\n') {
            (&file).write_all(b"\n").map_err(FileError::at(path))?;
        }
        Ok((Self { path: path.to_owned(), file: Mutex::new(file) }, lines(&text)))
    }

    /// Appends a value.
    pub fn put(&self, value: &impl Serialize) -> Result<(), FileError> {
        let mut line =
            serde_json::to_vec(value).map_err(|error| FileError::at(&self.path)(error.into()))?;
        line.push(b'\n');
        // One write: lines of several threads, or processes, do not mix.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&line).map_err(FileError::at(&self.path))
    }
}

/// The values of lines; those of another kind are passed over.
pub(super) fn lines<T: DeserializeOwned>(text: &[u8]) -> Vec<T> {
    let lines = text.split(|byte| *byte == b'\n');
    lines.filter_map(|line| serde_json::from_slice(line).ok()).collect()
}
