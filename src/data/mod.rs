//! Image datasets by path. The format is recognised from what the path holds (CIFAR-10 binary,
//! IDX, or `train/<class>/*.png|jpg` in a folder or an archive), decoded once into a cache of raw
//! pixels, split into training, validation and test images, and handed out as normalised batches.
//! Archives are streamed and never unpacked to disk.

mod batch;
mod cache;
mod cifar;
mod classes;
mod dataset;
mod decode;
mod decoded;
mod error;
mod folder;
mod idx;
mod open;
mod partition;
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
