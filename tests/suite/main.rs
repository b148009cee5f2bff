//! The integration tests, in one binary because each would link burn.

mod cli;
mod data;
mod devices;
mod operators;
mod spaces;
mod whole_files;
mod execution;
mod kernels;
mod predictor;
