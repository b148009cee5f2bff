//! Ranking architectures that nobody has trained. A [`Score`] judges one graph, larger is better;
//! [`aggregate`] joins the ranks that several scores give a pool. Nothing here sees a trained
//! accuracy, except [`metrics`], which say how good a ranking was.

mod aggregate;
mod blocks;
mod clear_path;
mod evidence;
mod fingerprint;
mod judge;
mod live;
pub mod metrics;
mod ranking;
mod record;
mod score;
mod scores;
mod setup;
mod spectrum;
mod subject;

#[cfg(test)]
mod tests;

pub use aggregate::{AUTO, Aggregate, Criterion, Ranked, TIED, aggregate};
pub use evidence::evidence;
pub use fingerprint::{Fingerprints, fingerprint};
pub use judge::{Judge, spread};
pub use live::Live;
pub use ranking::{RankedGraph, ranking};
pub use record::{Cache, CacheError, Record};
pub use score::{Score, ScoreError, scores};
pub use setup::{ProbeOptions, ScoreSelection, SetupError};
pub use subject::{Probe, Subject};
