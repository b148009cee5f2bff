//! Opening datasets, through the cache.

use std::path::Path;

use super::{Cache, DataError, Dataset, Split, decode::decode, source::Source};

impl Dataset {
    /// Opens a split of the dataset at `path`, decoding it only if the user's [`Cache`] does not
    /// hold it yet. What a user must know about it ([`Dataset::notices`]) is logged as warnings.
    pub fn open(path: &Path, split: Split) -> Result<Self, DataError> {
        Self::open_with(path, split, &Cache::of_user())
    }

    /// Like [`Dataset::open`], with a given cache.
    pub fn open_with(path: &Path, split: Split, cache: &Cache) -> Result<Self, DataError> {
        let source = Source::new(path)?;
        let dataset = match cache.load(source.key(), split) {
            Some(found) => found,
            None => decoded(&source, split, cache)?,
        };
        for notice in &dataset.notices {
            tracing::warn!("{}: {notice}", path.display());
        }
        Ok(dataset)
    }
}

/// Decodes and caches all splits, and returns one.
fn decoded(source: &Source, split: Split, cache: &Cache) -> Result<Dataset, DataError> {
    let mut wanted = None;
    let mut present = Vec::new();
    for (part, dataset) in decode(source)?.into_splits() {
        cache.store(source.key(), part, &dataset);
        present.push(part.name());
        if part == split {
            wanted = Some(dataset);
        }
    }
    let path = source.path().to_owned();
    wanted.ok_or_else(|| DataError::NoSplit { path, split, present: present.join(" and ") })
}
