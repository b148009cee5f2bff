//! Ranking architectures that nobody has trained. A [`Score`] judges one graph, larger is better;
//! [`aggregate`] joins the ranks that several scores give a pool. How `auto` joins them is [`learned`] from
//! graphs of our own spaces that [`labels`] trains; [`metrics`] say how good a ranking was.

mod aggregate;
mod blocks;
mod clear_path;
mod error;
mod evidence;
mod features;
mod journal;
mod judge;
pub mod labels;
pub mod learned;
mod limits;
mod live;
pub mod metrics;
mod operator_paths;
mod paths;
mod place;
mod ranking;
mod record;
mod score;
mod scores;
mod setup;
mod spectrum;
mod structure;
mod subject;

#[cfg(test)]
mod tests;

pub use aggregate::{Aggregate, CRITERIA, Criterion, TIED, aggregate};
pub use error::ScoreError;
pub use evidence::evidence;
pub use judge::{Judge, spread};
pub use limits::{Limits, peak_memory};
pub use live::Live;
pub use operator_paths::{Occurrences, OperatorPaths};
pub use place::Ranked;
pub use ranking::{RankedGraph, Ranking, ranking, refined_ranking};
pub use record::{Cache, Record};
pub use score::Score;
pub use scores::{counts, scores};
pub use setup::{ProbeOptions, ScoreSelection, SetupError};
pub use structure::{Fingerprints, fingerprint};
pub use subject::{Probe, Subject};
