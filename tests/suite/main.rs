//! The integration tests, in one binary because each would link burn.

mod data;
mod spaces;
mod execution;
mod kernels;
