//! ONNX files: wire bytes to messages, external data, and back. Reading is bounded (the wire is
//! checked for depth and lengths before anything is decoded), writing splices initializers into
//! the original bytes, so that everything else survives to the byte. Protobuf types stay inside
//! this crate; nothing here knows what an operator means.

pub(crate) mod captured;
mod check;
mod digest;
mod error;
mod external;
pub(crate) mod messages;
mod model;
mod rename;
mod signature;
mod tensor;
mod value_info;
mod wire;
mod writer;

pub mod atomic;
pub mod ensemble;
pub mod folder;
pub mod names;
pub mod safetensors;
pub mod splice;

pub(crate) use digest::leading;
pub use digest::{Sha256Writer, sha256};
pub use error::OnnxError;
pub use model::Model;
pub(crate) use model::{find, opsets};
pub(crate) use signature::belongs;
pub use signature::{Belongs, Saved};
pub(crate) use tensor::decode_floats;
pub(crate) use tensor::shape;
pub use tensor::{Values, encode};
pub(crate) use value_info::value_info;
pub(crate) use writer::MessageWriter;
