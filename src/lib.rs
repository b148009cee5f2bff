//! weightsmith reads a neural architecture as an ONNX graph and writes its weights.
//!
//! The data's road, one module a station; a module imports only from those above it:
#![deny(missing_docs)]

mod bootstrap;
mod file_error;
mod svg;
/// ONNX files: wire bytes to messages, external data, splicing initializers back, state-dict names.
pub mod onnx;
/// The architecture as a petgraph DAG: nodes, parameter slots, shapes, distances, drawings.
pub mod graph;
/// Search spaces: seeded generators of architectures, as weightless ONNX.
pub mod spaces;
/// What long work tells whoever watches it.
pub mod observer;
mod tensor_data;
/// How much memory this process holds.
pub mod memory;
/// Plain CPU kernels with hand-written gradients, the fast path of training.
pub mod kernels;
mod optimise;
/// The operator table: everything about an operator lives in its own file.
pub mod ops;
/// The frozen graphs that predictors learn from and are judged by.
pub mod corpus;
/// Image datasets by path: formats, cache, normalisation, splits.
pub mod data;
/// Running an architecture with given weights, differentiable in the weights.
pub mod execute;
/// Small neural building blocks and the flat view of their parameters.
pub mod neural;
/// Weights by parameter: random initialisation and distances.
pub mod weights;
/// Node features and the graph encoder that turns nodes into tokens.
pub mod encoder;
/// The map between tensors and the patches a predictor writes.
pub mod patches;
/// Predictors of weights, their checkpoints and baselines.
pub mod predictor;
/// Checkpoints of many graphs, grown from the weights of predictors.
pub mod zoo;
/// Training a predictor through the task loss of the networks it predicts.
pub mod train;
/// Judging weights: accuracy, cross-entropy, calibration.
pub mod evaluate;
/// The main job: reading a graph, predicting, calibrating and writing its weights, and the report.
pub mod fill;
/// Ranking architectures that nobody has trained.
pub mod rank;
/// Choosing a device at run time.
pub mod device;
/// The command line.
#[cfg(feature = "cli")]
pub mod cli;

pub use file_error::FileError;
