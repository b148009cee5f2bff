//! The main job: a graph is read ([`Network::open`](crate::fill::Network::open)) and filled
//! ([`fill`](crate::fill::fill())): its weights are predicted, moved towards labelled images where there
//! are any, and calibrated. What comes of it is written, with a report that says of every tensor where
//! it came from, a bill of materials and a model card, and can be checked against its report and made again.

mod adapt;
mod adapter_nodes;
mod baked;
mod checkpoint;
mod classes;
mod error;
mod filled;
mod filled_network;
mod finetune;
mod fixed;
mod images;
mod judged;
mod merge;
mod merge_record;
mod metadata;
mod naming;
mod normalisation;
mod network;
mod options;
mod other_head;
mod outputs;
mod parent;
mod provenance;
mod records;
mod report;
mod reported;
mod sanity;
mod select;
mod state_dict;
mod stored;
mod torch;
mod verify;
mod write;

pub use adapt::{AdaptOptions, Adaptation, Adapted, adapt};
pub use checkpoint::{descent, export_checkpoint};
pub use error::FillError;
pub use filled::{Filled, fill};
pub use filled_network::{FilledNetwork, fills, recalibrated};
pub use finetune::{FineTuneOptions, checkpoint_path, finetune};
pub use images::NetworkImages;
pub use judged::Judged;
pub use merge::{MergeOptions, merge};
pub use merge_record::{MergeRecord, ParentRecord};
pub use network::{Network, OpenOptions};
pub use normalisation::InputNormalisation;
pub use options::{Calibration, FillOptions, SamplingOptions, SupportSet};
pub use outputs::{Outputs, file_name, stem};
pub use parent::Parent;
pub use provenance::{Drawn, FileHash, Provenance, SupportRecord, TOOL, TuningRecord};
pub use report::{Counts, Report, SCHEMA, Statistics, TensorReport};
pub use reported::ReportedNetwork;
pub use sanity::{Finding, FindingKind, SanityCheck};
pub use select::{Selection, Unlabelled, agreeing};
pub use stored::StoredTensor;
pub use verify::{
    Check, RecordedReport, RecordedTensor, RegenerateOptions, Verification, regenerate, verify,
};
pub use write::WriteOptions;
