//! The integration tests, in one binary because each would link burn.

mod cli;
mod data;
mod devices;
mod spaces;
mod execution;
mod kernels;
