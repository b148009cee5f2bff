//! Which seeds are for learning and which are never learned from.

use std::ops::Range;

use serde::Deserialize;

/// A part of the seeds of a space. The parts never overlap; still, about one training graph in a
/// thousand equals one of a thousand held-out graphs, and
/// [`Architecture::fingerprint`](crate::graph::Architecture::fingerprint) tells which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Seeds below 1,000,000.
    Train,
    /// Seeds from 1,000,000: watched while training, to choose a model.
    Validation,
    /// Seeds from 2,000,000: only for the figures that are published.
    Test,
}

impl Split {
    /// Seeds of one split, at most.
    pub const SIZE: u64 = 1_000_000;

    /// The first `count` seeds (at most [`Self::SIZE`]).
    pub fn seeds(self, count: u64) -> Range<u64> {
        let first = Self::SIZE * self as u64;
        first..first + count.min(Self::SIZE)
    }

    /// The split of a seed, if it is in one.
    pub fn of(seed: u64) -> Option<Self> {
        [Self::Train, Self::Validation, Self::Test]
            .into_iter()
            .find(|split| split.seeds(Self::SIZE).contains(&seed))
    }
}
