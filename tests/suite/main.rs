//! The integration tests, in one binary because each would link burn.

mod bad_files;
mod cli;
mod data;
mod devices;
mod digits;
mod examples;
mod execution;
mod independent_reader;
mod kernels;
mod known_operators;
mod mutated_files;
mod named;
mod natural_inputs;
mod operators;
mod predictor;
mod spaces;
mod training;
mod transfer;
mod whole_files;
