//! The integration tests, in one binary because each would link burn.

mod bad_files;
mod cli;
mod data;
mod devices;
mod digits;
mod execution;
mod exports;
mod functions;
mod independent_reader;
mod kernels;
mod mutated_files;
mod natural_inputs;
mod operators;
mod predictor;
mod spaces;
mod training;
mod whole_files;
