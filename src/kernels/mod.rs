//! Plain CPU kernels with hand-written gradients: the fast path of training on a CPU. They know
//! nothing of graphs; `execute::Program` strings them together. Activations are channel-major,
//! `[C][N][H][W]`, so that a convolution is one matrix product, a batch normalisation a pass over
//! contiguous rows and a concatenation a copy. The plain reference they are tested against is the
//! burn execution of the same operator.

pub mod activation;
pub mod conv;
pub mod depthwise;
pub mod elementwise;
pub mod gemm;
mod loss;
mod math;
pub mod norm;
pub mod pool;
mod scratch;
pub(crate) mod simd;
mod step;

pub(crate) use simd::vectorised;

pub use loss::{LossOutcome, cross_entropy};
pub use scratch::Scratch;
pub use step::{Activation, Step};
