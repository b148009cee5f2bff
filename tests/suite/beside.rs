//! Files that tests read: those of the repository, and data that may stand beside it.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

/// A path of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A path of the data beside the repository. Where it is not there, says which test is skipped, on the real
/// standard error: the test harness would swallow what `println!` prints.
pub fn shared(path: &str) -> Option<PathBuf> {
    let path = repository("../shared").join(path);
    if path.exists() {
        return Some(path);
    }
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {} is not there", path.display());
    None
}

/// The ONNX files of some folders, in the order of their names.
pub fn onnx_files(folders: &[PathBuf]) -> Vec<PathBuf> {
    let read = |folder: &PathBuf| std::fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> =
        folders.iter().flat_map(read).map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "onnx"));
    files.sort();
    files
}

/// Every ONNX file of the repository, and those beside it where they are there.
pub fn all_onnx_files() -> Vec<PathBuf> {
    let own = ["architectures/named", "benches/graphs", "tests/fixtures/exports"].map(repository);
    onnx_files(&own.into_iter().chain(shared("onnx")).collect::<Vec<_>>())
}
