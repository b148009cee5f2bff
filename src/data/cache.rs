//! Decoded datasets on disk, so that an archive is decoded once.

use std::{
    env,
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::{Dataset, Split};

/// First bytes of a cache file. A change of the format, or of how files become images, changes them.
const MAGIC: &[u8; 8] = b"WSDATA2\n";
const MAX_HEADER: u32 = 64 << 20;

/// A folder of decoded datasets. It only ever saves time: whatever cannot be read, is damaged or
/// out of date is decoded again, and a folder that cannot be written is done without.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: Option<PathBuf>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    classes: Vec<String>,
    shape: [usize; 3],
    images: usize,
    hash: String,
    notices: Vec<String>,
}

impl Cache {
    /// The user's cache: `$WEIGHTSMITH_CACHE`, else `$XDG_CACHE_HOME/weightsmith`, else
    /// `~/.cache/weightsmith`.
    pub fn of_user() -> Self {
        Self { folder: user_cache() }
    }

    /// A cache in a given folder.
    pub fn at(folder: &Path) -> Self {
        Self { folder: Some(folder.to_owned()) }
    }

    /// No cache.
    pub fn none() -> Self {
        Self { folder: None }
    }

    fn file(&self, key: &str, split: Split) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(format!("{key}-{split}.pixels")))
    }

    pub(super) fn load(&self, key: &str, split: Split) -> Option<Dataset> {
        let path = self.file(key, split)?;
        match File::open(&path).and_then(read) {
            Ok(dataset) => Some(dataset),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(
                    "{}: decoding again, the cache is unusable: {error}",
                    path.display()
                );
                None
            }
        }
    }

    pub(super) fn store(&self, key: &str, split: Split, dataset: &Dataset) {
        let Some(path) = self.file(key, split) else { return };
        if let Err(error) = write(&path, dataset) {
            tracing::warn!("{}: not cached: {error}", path.display());
        }
    }
}

/// The folder behind [`Cache::of_user`], if there is one.
pub(crate) fn user_cache() -> Option<PathBuf> {
    let folder =
        |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    folder("WEIGHTSMITH_CACHE")
        .or_else(|| Some(folder("XDG_CACHE_HOME")?.join("weightsmith")))
        .or_else(|| Some(folder("HOME")?.join(".cache").join("weightsmith")))
}

fn write(path: &Path, dataset: &Dataset) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let header = serde_json::to_vec(&Header {
        classes: dataset.classes.clone(),
        shape: [dataset.channels, dataset.height, dataset.width],
        images: dataset.len(),
        hash: dataset.hash.clone(),
        notices: dataset.notices.clone(),
    })?;
    let length = u32::try_from(header.len()).map_err(io::Error::other)?;
    let mut file = NamedTempFile::new_in(folder)?;
    let mut writer = BufWriter::new(&mut file);
    writer.write_all(MAGIC)?;
    writer.write_all(&length.to_le_bytes())?;
    writer.write_all(&header)?;
    for label in &dataset.labels {
        writer.write_all(&label.to_le_bytes())?;
    }
    writer.write_all(&dataset.pixels)?;
    writer.flush()?;
    drop(writer);
    file.persist(path)?;
    Ok(())
}

fn read(file: File) -> io::Result<Dataset> {
    let size = file.metadata()?.len();
    let mut reader = BufReader::new(file);
    let mut start = [0; 12];
    reader.read_exact(&mut start)?;
    let (magic, length) = start.split_at(MAGIC.len());
    let length = length.try_into().map_or(u32::MAX, u32::from_le_bytes);
    if magic != MAGIC {
        return Err(io::Error::new(io::ErrorKind::NotFound, "another version's file"));
    }
    if length > MAX_HEADER {
        return Err(damaged());
    }
    let mut header = vec![0; length as usize];
    reader.read_exact(&mut header)?;
    let Header { classes, shape, images, hash, notices } = serde_json::from_slice(&header)?;
    let pixels = shape.iter().try_fold(images, |product, &side| product.checked_mul(side));
    let body = pixels.and_then(|pixels| images.checked_mul(2)?.checked_add(pixels));
    let (Some(pixels), Some(body)) = (pixels, body) else { return Err(damaged()) };
    if Some(body as u64) != size.checked_sub(start.len() as u64 + u64::from(length)) {
        return Err(damaged());
    }
    let mut labels = vec![0; 2 * images];
    reader.read_exact(&mut labels)?;
    let labels = labels.as_chunks().0.iter().map(|&label| u16::from_le_bytes(label)).collect();
    let mut values = vec![0; pixels];
    reader.read_exact(&mut values)?;
    let dataset = Dataset::new(classes, shape, values, labels);
    if dataset.hash == hash { Ok(Dataset { notices, ..dataset }) } else { Err(damaged()) }
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "damaged file")
}
