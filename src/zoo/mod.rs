//! A zoo: trained networks as data. Each *checkpoint* is one snapshot of one graph's weights on the
//! way from a predictor's weights to trained ones, so that all checkpoints of one predictor lie in
//! one gauge: what channel 3 of a layer does in one of them, it does in the others.
//!
//! A zoo is a folder. `zoo.json` says what holds for all of it ([`ZooHeader`]);
//! `records/<fingerprint>.pb` holds the [`Record`]s of one graph; `weights/<sha256>.safetensors` the
//! values of one checkpoint, under the names that the graph gives its parameters. A tensor file is
//! written before the record that names it, and both appear whole or not at all, so that a zoo can
//! be read at any time and grown on after any interruption.

mod align;
mod assignment;
mod candidates;
mod config;
mod descent;
mod error;
mod finetune;
mod foreign;
mod grow;
mod groups;
mod import;
mod optimiser;
mod parent;
mod record;
mod store;
mod summary;
mod tensors;
#[cfg(test)]
mod tests;
mod verify;
mod wire;

pub use align::{Aligned, align};
pub(crate) use assignment::assign;
pub use config::{GrowConfig, Optimiser, ParentConfig, Schedule, Training};
pub use descent::{Descent, Relation};
pub use error::ZooError;
pub use foreign::{Foreign, Wanted};
pub use groups::{Groups, Moving, Place};
pub use grow::{GrowOptions, Grown, grow};
pub use import::{Imported, Provenance, import};
pub use record::{Lineage, Origin, Recipe, Record, Score};
pub use store::{FORMAT_VERSION, Zoo, ZooHeader};
pub use summary::{GraphSummary, ParentSummary, QualitySummary, Summary};
pub use tensors::{Precision, Tensors};
