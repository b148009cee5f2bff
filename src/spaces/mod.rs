//! Where architectures to learn from come from: seeded search spaces, described in TOML, whose
//! samples are ONNX graphs as PyTorch would export them without weights, and a few named
//! networks built the same way. A seed is a graph for good: equal space, equal seed, equal bytes.

mod block;
mod build;
mod cell;
mod derive;
mod draw;
mod encode;
mod family_in_space;
mod graph;
mod list;
mod named;
mod pair_cell;
mod plan;
mod rule;
mod sample;
mod space;
mod split;
mod tables;
mod tokens;
mod windows;

pub use build::{Activation, Conv, GraphBuilder, Pool, Value};
pub use cell::EdgeOp;
pub use named::{NAMED, Named, Published, plain_cnn, residual_network};
pub use plan::{Down, Family, Head, Norm};
pub use rule::{Bounds, FamilyRule, Proportions, Stem};
pub use sample::{SampledGraph, Style};
pub use space::{HiddenLayers, Sizes, Space, SpaceError, Widths};
pub use split::Split;
pub use tables::{Code, Entry, Table, TableError};
