//! CPU kernels with hand-written gradients: the fast path of training on a CPU. They know nothing of
//! graphs; `execute::Program` strings them together.
//!
//! Activations are `[C][N / 16][H][W]` of [`Pixel`], sixteen images side by side. An operation on
//! images is the same for all of them, whatever its strides, pads and edges, so loops vectorise over
//! images; a batch normalisation is a pass over contiguous rows and a concatenation a copy. The last
//! block is filled up with zero images whose gradients are zero.
//!
//! Every kernel is a plain loop that compiles for any target. Where the processor has AVX2 or AVX-512,
//! the same loop, compiled for them, runs instead. `WEIGHTSMITH_KERNELS=portable` in the environment
//! forces the plain loops, those of matrix products included; burn's own operations still choose their
//! instructions themselves. Kernels are tested against burn's execution of the same operator and, at
//! every level of instructions, against loops in double precision.

pub mod activation;
mod bounds;
pub mod broadcast;
pub mod conv;
mod cores;
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
#[cfg(test)]
mod tests;
mod tile;
mod vector;
mod window;

pub(crate) use simd::vectorised;

pub use loss::{LossOutcome, cross_entropy, likeliest, probabilities};
pub use orthogonal::orthogonalise;
pub use pixel::Pixel;
pub use scratch::{Buffer, Scratch, Scratches};
pub use step::{Activation, Step};
