//! The architecture as data: a petgraph DAG whose nodes are operators, whose edges carry the
//! source and destination slots, and which lists the parameters somebody has to fill in.
//! Nothing here learns, and nothing here knows a tensor library.

mod architecture;
mod attribute;
mod canonical;
mod classifier;
mod constrain;
mod distance;
mod draw;
mod fingerprint;
mod module_tensor;
mod open_dim;
mod part;
mod read;
mod renumber;
mod storage;
mod tensor;
mod torch_call;
mod weights;

pub use architecture::{
    Architecture, Edge, Layout, Node, NodeIndex, Operand, Origin, Parameter, ParameterId, Role,
    Scores, Slot, Storage, Twins, Wiring,
};
pub use attribute::{Attribute, AttributeError, Attributes};
pub use canonical::{BatchRepair, CANONICAL_DOMAIN, GATE_PLACES};
pub use classifier::NotAClassifier;
pub use distance::Distances;
pub use draw::{Ink, Paint, TooTangled};
pub use open_dim::OpenDim;
pub use read::{DimBindings, ReadError};
pub use renumber::without;
pub use storage::{Form, StorageMap, transpose};
pub use tensor::{Constant, DType, Fact, Tensor};
pub use torch_call::TorchCall;
pub use weights::Weights;
