//! Plain CPU kernels with hand-written gradients: the fast path of training on a CPU. They know
//! nothing of graphs; `execute::Program` strings them together. Activations are `[C][N / 16][H][W]`
//! of [`Pixel`], sixteen images side by side: every operation on images is the same for all of
//! them, whatever its strides, pads and edges, so that loops vectorise over images; a batch
//! normalisation is a pass over contiguous rows and a concatenation a copy. The last block is
//! filled up with zero images whose gradients are zero. The plain reference that kernels are
//! tested against is the burn execution of the same operator.

pub mod activation;
pub mod broadcast;
pub mod conv;
pub mod elementwise;
pub mod gather;
pub mod gemm;
pub mod layer_norm;
mod loss;
mod math;
pub mod norm;
mod orthogonal;
pub mod pixel;
pub mod pool;
pub mod product;
mod scratch;
pub(crate) mod simd;
pub mod softmax;
mod step;
mod tile;
mod vector;
mod window;

pub(crate) use simd::vectorised;

pub use loss::{LossOutcome, cross_entropy, likeliest, probabilities};
pub use orthogonal::orthogonalise;
pub use pixel::Pixel;
pub use scratch::{Buffer, Scratch, Scratches};
pub use step::{Activation, Step};
