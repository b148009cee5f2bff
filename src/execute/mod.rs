//! Running an architecture with given weights. [`execute`] runs any supported graph on a burn
//! device, differentiable in the weights, and [`measure`] takes the statistics of its batch
//! normalisations; [`Program`] runs the graphs that lower to CPU kernels, many times faster, with
//! gradients; [`Runner`] takes the faster of the two.
//!
//! Kernels use the vector instructions that the processor has. `WEIGHTSMITH_KERNELS=portable` in the
//! environment makes them run as plain loops, about ten times slower.

mod form;
mod fuse;
mod lower;
mod not_lowered;
mod program;
mod reference;
mod runner;

pub use not_lowered::NotLowered;
pub use program::{Gradients, Images, MeasuredStatistics, NormStatistics, Program};
pub use reference::{ExecuteError, execute, measure, upload_weights};
pub use runner::Runner;

pub use crate::kernels::{LossOutcome, Scratch, Scratches, cross_entropy};
