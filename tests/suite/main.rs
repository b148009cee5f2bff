//! The integration tests, in one binary because each would link burn.

mod bad_files;
mod cli;
mod corpus;
mod data;
mod devices;
mod digits;
mod examples;
mod execution;
mod exports;
mod fingerprint;
mod functions;
mod independent_reader;
mod kernels;
mod known_operators;
mod mutated_files;
mod named;
mod natural_inputs;
mod operators;
mod predictor;
mod ranking;
mod spaces;
mod token_kernels;
mod training;
mod transfer;
mod whole_files;
mod zoo;
