//! The operator table. Everything about an operator (opset history, shape rule, parameter slots,
//! node features, execution, fast kernel) lives in one place, in the file of its family;
//! vocabulary, support matrix and documentation derive from the [`Registry`].

mod activation;
mod array;
mod attention;
mod batch;
mod binary;
mod compare;
mod conv;
mod einsum;
mod error;
mod family;
mod helpers;
mod join;
mod learned;
mod linear;
mod lstm;
mod norm;
mod operator;
mod pad;
mod pool;
mod positions;
mod ranges;
mod rearrange;
mod recurrence;
mod reduce;
mod registry;
mod reshape;
mod resize;
mod resolve;
mod response;
mod root_norm;
mod slice;
mod softmax;
mod statics;
mod stranded;
mod strides;
mod summary;
mod visit;
mod vocabulary;

pub use array::Array;
pub use error::OpError;
pub use family::OperatorFamily;
pub(crate) use norm::batch_statistics;
pub use operator::{Features, Operator, Passage, SlotRule, infer};
pub use registry::{NEWEST_OPSET, Registry};
pub use resolve::{Resolution, Unsupported, resolve, resolve_with_input};
pub use response::{Affine, Response};
pub use stranded::stranded;
pub use summary::{FamilySummary, Summary};
pub use visit::ResolveError;
pub use vocabulary::Vocabulary;

pub use crate::kernels::{Activation, Step};
