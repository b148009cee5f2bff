//! From the DAG to node tokens: the addresses at which a predictor writes. [`NodeFeatures`] reads
//! a resolved architecture into plain numbers; [`GraphEncoder`] is a graph transformer over them
//! whose attention is biased by signed shortest-path distance (Ying et al. 2021, *Graphormer*;
//! Knyazev et al. 2023, *GHN-3*). A [`NodeEncoder`] of another crate adds features of its own.

mod batch;
mod config;
mod features;
mod flattened;
mod node_encoder;
mod transformer;

pub use batch::NodeBatch;
pub use config::EncoderConfig;
pub use features::{NUMERIC, NodeFeatures, data_nodes};
pub(crate) use flattened::{flattened_image, flattened_positions};
pub use node_encoder::{NodeEncoder, OtherFeatures};
pub use transformer::GraphEncoder;
