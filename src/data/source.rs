//! Where a dataset's files come from: a folder or a tar archive, walked file by file.

use std::{
    fs::{self, File},
    io::{self, BufReader, Read, Seek},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use flate2::bufread::MultiGzDecoder;
use liblzma::{bufread::XzDecoder, stream};
use sha2::{Digest, Sha256};

use crate::FileError;

use super::DataError;

/// Largest file within a dataset.
pub const MAX_FILE: u64 = 512 << 20;
/// Largest number of files.
const MAX_FILES: usize = 4 << 20;
/// Largest archive, decompressed.
const MAX_ARCHIVE: u64 = 32 << 30;
/// Memory an xz file may demand for its dictionary.
const MAX_XZ_MEMORY: u64 = 256 << 20;
/// Longest path within an archive.
const MAX_NAME: u64 = 4096;
/// Folders are walked this deep: `<leading folder>/train/<class>/<folder>/<image>`.
const MAX_DEPTH: usize = 5;
/// Endings of files that hold a whole data set and are no archives.
const WHOLE: [&str; 2] = ["npz", "parquet"];

/// Is shown the paths of all files and empty folders of a source, and takes those that it wants.
pub trait Visitor {
    /// Whether a file is wanted. The path of a folder ends in `/`, and it is never handed out.
    fn wants(&mut self, path: &str) -> bool;
    /// Takes a file.
    fn take(&mut self, path: &str, bytes: Vec<u8>) -> Result<(), DataError>;
}

/// A folder or an archive, not read yet.
pub struct Source {
    path: PathBuf,
    key: String,
    /// Relative path and full path of every file and empty folder, in order; `None` for an archive.
    files: Option<Vec<(String, PathBuf)>>,
}

impl Source {
    /// Lists a folder, or finds an archive.
    pub fn new(path: &Path) -> Result<Self, DataError> {
        let canonical = path.canonicalize().map_err(FileError::at(path))?;
        let mut hasher = Sha256::new();
        hasher.update(canonical.as_os_str().as_encoded_bytes());
        let mut files = None;
        if canonical.is_dir() {
            let mut found = Vec::new();
            walk(&canonical, "", 1, &mut found)?;
            found.sort();
            for (name, file) in &found {
                stamp(&mut hasher, name, file)?;
            }
            files = Some(found);
        } else {
            stamp(&mut hasher, "", &canonical)?;
            let ending = canonical.extension().unwrap_or_default();
            if WHOLE.iter().any(|one| ending.eq_ignore_ascii_case(one)) {
                let name = canonical.file_name().unwrap_or_default().to_string_lossy();
                files = Some(vec![(name.into_owned(), canonical.clone())]);
            }
        }
        let digest = format!("{:x}", hasher.finalize());
        let stem = canonical.file_name().unwrap_or_default().to_string_lossy();
        let stem: String =
            stem.chars().filter(|c| c.is_ascii_alphanumeric() || "._-".contains(*c)).collect();
        let key = format!("{:.40}-{}", stem, &digest[..16]);
        Ok(Self { path: path.to_owned(), key, files })
    }

    /// The path as given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file name that changes with the path and with the size and time of its files.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// An error about a file within.
    pub fn error(&self, entry: &str, problem: impl ToString) -> DataError {
        DataError::Entry {
            path: self.path.clone(),
            entry: entry.to_owned(),
            problem: problem.to_string(),
        }
    }

    /// Reads every file that is wanted, one at a time.
    pub fn visit(&self, visitor: &mut impl Visitor) -> Result<(), DataError> {
        let Some(files) = &self.files else { return self.visit_archive(visitor) };
        for (name, file) in files {
            if visitor.wants(name) && !name.ends_with('/') {
                let bytes = File::open(file)
                    .and_then(|file| read_limited(file, MAX_FILE))
                    .map_err(|error| self.error(name, error))?;
                visitor.take(name, bytes)?;
            }
        }
        Ok(())
    }

    fn visit_archive(&self, visitor: &mut impl Visitor) -> Result<(), DataError> {
        let stream = decompressed(&self.path).map_err(FileError::at(&self.path))?;
        let mut archive = tar::Archive::new(Guard { stream, left: MAX_ARCHIVE, ended: false });
        let mut place = "start of the archive".to_owned();
        let mut long_name = None;
        // Raw: the tar crate would read extended names of any length into memory.
        let entries = archive.entries().map_err(|error| self.error(&place, error))?.raw(true);
        for (count, entry) in entries.enumerate() {
            let mut entry = entry.map_err(|error| match error.kind() {
                // The tar crate's own complaint, about the very first bytes: this is no archive.
                io::ErrorKind::Other if count == 0 => self.no_archive(),
                _ => self.error(&place, format!("after this, the archive is damaged: {error}")),
            })?;
            let kind = entry.header().entry_type();
            let size = entry.size();
            if kind.is_gnu_longname() || kind.is_pax_local_extensions() {
                let fail = |error| self.error(&place, format!("the name after this: {error}"));
                let block = read_limited(&mut entry, MAX_NAME).map_err(fail)?;
                let name = if kind.is_gnu_longname() {
                    let end = block.iter().position(|&byte| byte == 0).unwrap_or(block.len());
                    Some(block[..end].to_vec())
                } else {
                    pax_path(&block).map_err(fail)?
                };
                long_name = name.or(long_name);
                continue;
            }
            if kind.is_gnu_longlink() || kind.is_pax_global_extensions() {
                continue;
            }
            let name = long_name.take().unwrap_or_else(|| entry.path_bytes().into_owned());
            let name = String::from_utf8_lossy(&name).trim_start_matches("./").to_owned();
            if count >= MAX_FILES {
                return Err(self.error(&name, format!("more than {MAX_FILES} entries")));
            }
            if visitor.wants(&name) && !kind.is_dir() {
                if !kind.is_file() && !kind.is_contiguous() {
                    let problem = "a link or sparse file; repack the archive with plain files";
                    return Err(self.error(&name, problem));
                }
                let bytes =
                    read_limited(&mut entry, MAX_FILE).map_err(|error| self.error(&name, error))?;
                if bytes.len() as u64 != size {
                    return Err(self.error(&name, "the archive ends within this file"));
                }
                visitor.take(&name, bytes)?;
            }
            place = name;
        }
        let mut rest = archive.into_inner();
        if rest.ended {
            return Err(self.error(&place, "the archive ends after this without its end mark"));
        }
        // Lets the decompressor reach, and check, its own checksum.
        io::copy(&mut rest, &mut io::sink()).map_err(|error| self.error(&place, error))?;
        Ok(())
    }

    fn no_archive(&self) -> DataError {
        let mut start = [0; 4];
        let zip = File::open(&self.path).and_then(|mut file| file.read_exact(&mut start)).is_ok()
            && start == *b"PK\x03\x04";
        let seen = match zip {
            true => "a zip archive, which is not read: unpack it",
            false => "a file that is no archive",
        };
        DataError::Unrecognised { path: self.path.clone(), seen: seen.to_owned() }
    }
}

fn walk(
    folder: &Path,
    prefix: &str,
    depth: usize,
    found: &mut Vec<(String, PathBuf)>,
) -> Result<(), DataError> {
    for entry in fs::read_dir(folder).map_err(FileError::at(folder))? {
        let entry = entry.map_err(FileError::at(folder))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') {
            continue;
        }
        let name = format!("{prefix}{name}");
        let path = entry.path();
        if path.is_dir() {
            if depth < MAX_DEPTH {
                let before = found.len();
                let name = format!("{name}/");
                walk(&path, &name, depth + 1, found)?;
                if found.len() == before {
                    found.push((name, path));
                }
            }
        } else if path.is_file() {
            if found.len() >= MAX_FILES {
                let error = io::Error::other(format!("more than {MAX_FILES} files"));
                return Err(FileError { path: folder.to_owned(), error }.into());
            }
            found.push((name, path));
        }
    }
    Ok(())
}

fn stamp(hasher: &mut Sha256, name: &str, file: &Path) -> Result<(), DataError> {
    let metadata = fs::metadata(file).map_err(FileError::at(file))?;
    let time = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    hasher.update((name.len() as u64).to_le_bytes());
    hasher.update(name);
    hasher.update(metadata.len().to_le_bytes());
    hasher.update(time.unwrap_or_default().as_nanos().to_le_bytes());
    Ok(())
}

/// Opens a file and undoes gzip or xz, recognised by their first bytes.
fn decompressed(path: &Path) -> io::Result<Box<dyn Read>> {
    let mut file = File::open(path)?;
    let mut start = Vec::new();
    Read::by_ref(&mut file).take(6).read_to_end(&mut start)?;
    file.rewind()?;
    let file = BufReader::with_capacity(1 << 16, file);
    Ok(match start.as_slice() {
        [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(file)),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => {
            let decoder = stream::Stream::new_stream_decoder(MAX_XZ_MEMORY, stream::CONCATENATED)?;
            Box::new(XzDecoder::new_stream(file, decoder))
        }
        _ => Box::new(file),
    })
}

/// Reads to the end, or fails beyond `limit` bytes.
pub fn read_limited(reader: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::other(format!("larger than {limit} bytes")));
    }
    Ok(bytes)
}

fn pax_path(block: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let mut path = None;
    for extension in tar::PaxExtensions::new(block) {
        let extension = extension?;
        match extension.key_bytes() {
            b"path" => path = Some(extension.value_bytes().to_vec()),
            b"size" => return Err(io::Error::other("files beyond 8 GB are not supported")),
            _ => {}
        }
    }
    Ok(path)
}

/// A reader that bounds what may be read and remembers whether the end was reached.
struct Guard<R> {
    stream: R,
    left: u64,
    ended: bool,
}

impl<R: Read> Read for Guard<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        self.ended |= count == 0 && !buffer.is_empty();
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or_else(|| io::Error::other("the archive is larger than 32 GB decompressed"))?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_hold() {
        assert_eq!(read_limited([1, 2, 3].as_slice(), 3).unwrap(), [1, 2, 3]);
        assert!(read_limited([1, 2, 3].as_slice(), 2).is_err());
        assert!(read_limited(io::repeat(0), 1000).is_err());
        let mut guard = Guard { stream: io::repeat(0), left: 10, ended: false };
        assert!(guard.read(&mut [0; 10]).is_ok());
        assert!(guard.read(&mut [0; 10]).is_err());
    }
}
