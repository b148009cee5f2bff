//! Opening datasets, through the cache.

use std::path::Path;

use super::{Cache, DataError, Dataset, Split, decode::decode, source::Source};

impl Dataset {
    /// Opens a split of the dataset at `path`, decoding it only if the user's [`Cache`] does not
    /// hold it yet.
    pub fn open(path: &Path, split: Split) -> Result<Self, DataError> {
        Self::open_with(path, split, &Cache::of_user())
    }

    /// Like [`Dataset::open`], with a given cache.
    pub fn open_with(path: &Path, split: Split, cache: &Cache) -> Result<Self, DataError> {
        let source = Source::new(path)?;
        if let Some(found) = cache.load(source.key(), split) {
            return Ok(found);
        }
        let mut wanted = None;
        for (part, dataset) in decode(&source)?.into_splits() {
            cache.store(source.key(), part, &dataset);
            if part == split {
                wanted = Some(dataset);
            }
        }
        wanted.ok_or_else(|| DataError::NoSplit { path: path.to_owned(), split })
    }
}
