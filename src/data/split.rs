//! The parts of a dataset.

use std::fmt;

/// A part of a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

    /// Name of the split, and of its folder in an image folder.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|split| split.name() == name)
    }
}

impl fmt::Display for Split {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
