//! The map between tensors and patches. A parameter tensor is cut, tap by tap of its kernel, into
//! tiles of 64 × 64 output and input channels, and each tile into 16 × 16 patches; vectors (and the
//! taps of depthwise kernels) are cut into runs of 64. Every patch has an [`Address`]: the node
//! token, the role, the tap and the tile. The position of a patch inside its tile selects the
//! predictor's output layer, so every position of a tile has its own weights; tiles beyond the
//! first are told apart by their address, never copied. Where a layer reads channels that several
//! others made, each maker's channels are cut for themselves (see [`Sources`]).

mod address;
mod layout;
mod mirror;
mod scale;
mod source;

pub use address::{Address, Family, PATCH, Patch, Place, TAPS, TILE, patches_of};
pub use layout::{PatchPlan, Span};
pub use mirror::Mirror;
pub use scale::{Scale, scale_of};
pub use source::{Source, Sources};
