//! The integration tests, in one binary because each would link burn.

mod cli;
mod data;
mod devices;
mod execution;
mod independent_reader;
mod kernels;
mod mutated_files;
mod operators;
mod predictor;
mod spaces;
mod whole_files;
