//! The parts of a dataset.

use std::fmt;

/// A part of a dataset. Where a source names no splits, a fixed seed keeps a tenth of every class for
/// validation and a tenth for testing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Split {
    /// Images to train on. Excludes [`Split::Val`].
    Train,
    /// Images for model selection: the dataset's own, or else a fixed random 10 % (at most 5,000)
    /// of the training images.
    Val,
    /// Images for final judgement.
    Test,
}

impl Split {
    pub(super) const ALL: [Self; 3] = [Self::Train, Self::Val, Self::Test];

    /// Name of the split.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
        }
    }

    /// The split that a folder or an array is named after, whatever the case of its letters.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "train" | "training" => Some(Self::Train),
            "val" | "valid" | "validation" | "dev" => Some(Self::Val),
            "test" | "testing" => Some(Self::Test),
            _ => None,
        }
    }

    /// The split that a path of a file of many images promises: by a word of the file's name
    /// (`train-00000-of-00001.parquet`), or else by the name of a folder.
    pub(super) fn of_path(path: &str) -> Option<Self> {
        let mut components = path.rsplit('/');
        let stem = components.next()?;
        let words = stem.split(|letter: char| !letter.is_ascii_alphanumeric());
        words.chain(components).find_map(Self::from_name)
    }
}

impl fmt::Display for Split {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_have_the_names_that_people_give_them() {
        for (name, split) in [
            ("train", Split::Train),
            ("Training", Split::Train),
            ("val", Split::Val),
            ("valid", Split::Val),
            ("VALIDATION", Split::Val),
            ("dev", Split::Val),
            ("test", Split::Test),
            ("testing", Split::Test),
        ] {
            assert_eq!(Split::from_name(name), Some(split), "{name}");
        }
        assert_eq!(Split::from_name("tests"), None);
    }

    #[test]
    fn paths_of_shards_name_their_split() {
        for (path, split) in [
            ("data/train-00000-of-00001.parquet", Some(Split::Train)),
            ("validation-00000-of-00002.parquet", Some(Split::Val)),
            ("default/test/0000.parquet", Some(Split::Test)),
            ("cifar10_test.npz", Some(Split::Test)),
            ("data/0000.parquet", None),
        ] {
            assert_eq!(Split::of_path(path), split, "{path}");
        }
    }
}
