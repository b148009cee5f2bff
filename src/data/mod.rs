//! Image datasets by path: images in folders, arrays of NumPy, tables of Parquet, CIFAR-10 binary or
//! IDX, in a folder or an archive. The format is recognised from what the path holds, decoded once
//! into a cache of raw pixels of one size, split into training, validation and test images, and
//! handed out as normalised batches. Archives are streamed and never unpacked to disk.

mod affine_map;
mod batch;
mod cache;
mod cifar;
mod classes;
mod dataset;
mod decode;
mod decoded;
mod encoded;
mod error;
mod folder;
mod idx;
mod inventory;
mod layout;
mod npy;
mod npz;
mod open;
mod parquet;
mod partition;
mod picture;
mod resize;
mod sketch;
mod source;
mod split;

pub use batch::{Augmentation, Batcher};
pub use cache::Cache;
pub(crate) use cache::user_cache;
pub use classes::class_list;
pub use dataset::{Dataset, LUMA, Normalisation};
pub use error::DataError;
pub use sketch::{NoSketch, Sketch};
pub use split::Split;
