//! The files of a folder, listed and hashed.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use rayon::prelude::*;

use crate::{FileError, onnx::Sha256Writer};

use super::{
    SigningError,
    resource::{NEVER_SIGNED, Resource, SHA256, Serialization},
};

/// The name of a folder or file.
pub(super) fn name(model: &Path) -> Result<String, SigningError> {
    let whole = model.canonicalize().map_err(FileError::at(model))?;
    let name = whole.file_name().unwrap_or(whole.as_os_str());
    name.to_str().map(str::to_owned).ok_or_else(|| not_utf8(model))
}

/// The path of a file in a folder, with `/` between its parts; `None` if it is not in there. The file need
/// not exist.
pub(super) fn path_within(folder: &Path, file: &Path) -> Option<String> {
    let parent = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let whole = parent.canonicalize().ok()?.join(file.file_name()?);
    let within = whole.strip_prefix(folder.canonicalize().ok()?).ok()?;
    let parts: Option<Vec<&str>> = within.iter().map(|part| part.to_str()).collect();
    parts.filter(|parts| !parts.is_empty()).map(|parts| parts.join("/"))
}

/// Hashes every file of a folder, or a single file under the given name. What is listed as ignored does not count,
/// and neither does the signature.
pub(super) fn hashed(
    model: &Path,
    name: &str,
    serialization: &Serialization,
    signature: &Path,
) -> Result<Vec<Resource>, SigningError> {
    let files = match fs::metadata(model).map_err(FileError::at(model))?.is_dir() {
        true => listed(model, serialization, path_within(model, signature).as_deref())?,
        false => vec![(name.to_owned(), model.to_owned())],
    };
    let hashed = files.par_iter().map(|(name, path)| hashes(name, path, serialization.shard_size));
    let hashed: Vec<Vec<Resource>> = hashed.collect::<Result<_, _>>()?;
    Ok(hashed.into_iter().flatten().collect())
}

/// The files of a folder by their paths in it.
fn listed(
    model: &Path,
    serialization: &Serialization,
    signature: Option<&str>,
) -> Result<Vec<(String, PathBuf)>, SigningError> {
    let ignored = |path: &str| {
        NEVER_SIGNED.contains(&path)
            || signature == Some(path)
            || serialization.ignore_paths.iter().any(|it| it == path)
    };
    let mut files = Vec::new();
    let mut folders = vec![(String::new(), model.to_owned())];
    while let Some((prefix, folder)) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(FileError::at(&folder))? {
            let entry = entry.map_err(FileError::at(&folder))?;
            let path = entry.path();
            let name = entry.file_name().into_string().map_err(|_| not_utf8(&path))?;
            let name = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
            if ignored(&name) {
                continue;
            }
            let kind = entry.file_type().map_err(FileError::at(&path))?;
            let refused = |problem| Err(SigningError::NotSignable { path: path.clone(), problem });
            if kind.is_dir() {
                folders.push((name, path));
            } else if kind.is_file() {
                files.push((name, path));
            } else if !kind.is_symlink() {
                return refused("is neither a file nor a folder");
            } else if !serialization.allow_symlinks {
                return refused("is a symbolic link, and only files are signed");
            } else if fs::metadata(&path).map_err(FileError::at(&path))?.is_file() {
                files.push((name, path));
            } else {
                return refused("is a symbolic link to a folder");
            }
        }
    }
    Ok(files)
}

/// The hash of a file, or those of its pieces.
fn hashes(name: &str, path: &Path, piece: Option<u64>) -> Result<Vec<Resource>, SigningError> {
    let mut file = File::open(path).map_err(FileError::at(path))?;
    let resource = |name, digest| Resource { name, digest, algorithm: SHA256.to_owned() };
    let Some(piece) = piece else {
        let (digest, _) = hash(&mut file).map_err(FileError::at(path))?;
        return Ok(vec![resource(name.to_owned(), digest)]);
    };
    let mut pieces = Vec::new();
    let mut start = 0;
    loop {
        let (digest, length) = hash(&mut (&mut file).take(piece)).map_err(FileError::at(path))?;
        if length == 0 {
            return Ok(pieces);
        }
        pieces.push(resource(format!("{name}:{start}:{}", start + length), digest));
        start += length;
    }
}

/// SHA-256 of what is left to read, in hexadecimal, and how much that was.
fn hash(content: &mut dyn Read) -> io::Result<(String, u64)> {
    let mut nowhere = io::sink();
    let mut hasher = Sha256Writer::new(&mut nowhere);
    let length = io::copy(content, &mut hasher)?;
    Ok((hasher.finish(), length))
}

fn not_utf8(path: &Path) -> SigningError {
    SigningError::NotSignable { path: path.to_owned(), problem: "has a name that is not UTF-8" }
}
