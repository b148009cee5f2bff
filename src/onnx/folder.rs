//! Folders of ONNX files.

use std::path::{Path, PathBuf};

use crate::FileError;

/// The `.onnx` files of a folder, in the order of their names.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>, FileError> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(FileError::at(folder))? {
        let path = entry.map_err(FileError::at(folder))?.path();
        if is_onnx(&path) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Whether a file is called as ONNX files are.
pub fn is_onnx(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "onnx")
}
