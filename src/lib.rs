//! weightsmith reads a neural architecture as an ONNX graph and writes its weights without training it.
//!
//! ```no_run
//! use burn::tensor::Device;
//! use weightsmith::{
//!     fill::{FillOptions, Network, fill},
//!     predictor::bundled,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let network = Network::open("model.onnx")?;
//! let predictor = bundled("diffusion", &Device::flex())?;
//! let filled = fill(&network, &predictor, &FillOptions::default())?;
//! println!("{:?}", filled.report().parameters);
//! filled.write("out")?;
//! # Ok(()) }
//! ```
//!
//! This leaves `model.onnx` with its weights, the same weights as a PyTorch state dict
//! (`model.safetensors`), `report.json`, a bill of materials and a model card in the folder `out`. The modules:
//!
//! - files and graphs: [`onnx`], [`signing`], [`graph`], [`ops`], [`execute`];
//! - weights: [`predictor`], [`fill`], [`merge`], [`trace`], [`audit`], and inside of predictors [`encoder`],
//!   [`patches`], [`neural`];
//! - training: [`train`], [`zoo`], [`spaces`], [`corpus`], [`data`];
//! - measuring: [`evaluate`], [`rank`], [`benchmark`];
//! - the machine: [`device`], [`memory`].
//!
//! In the source they stand in the order of the data's road: each imports only from those above it.
#![deny(missing_docs)]
#![deny(clippy::undocumented_unsafe_blocks)]

mod bootstrap;
mod choice;
mod csv;
mod file_error;
mod svg;
// Pages of HTML around drawings.
mod page;
// ONNX files: wire bytes to messages, external data, splicing initializers back, state-dict names.
pub mod onnx;
// Signatures over the files of a model, by the OpenSSF Model Signing specification.
pub mod signing;
// The architecture as a petgraph DAG: nodes, parameter slots, shapes, distances, drawings.
pub mod graph;
// Search spaces: seeded generators of architectures, as weightless ONNX.
pub mod spaces;
// What long work tells whoever watches it.
pub mod observer;
mod tensor_data;
// How much memory this process holds.
pub mod memory;
mod kernels;
mod optimise;
// The operator table: everything about an operator lives in its own file.
pub mod ops;
// The frozen graphs that predictors learn from and are judged by.
pub mod corpus;
// Image datasets by path: formats, cache, normalisation, splits.
pub mod data;
// Running an architecture with given weights, differentiable in the weights.
pub mod execute;
// Small neural building blocks and the flat view of their parameters.
pub mod neural;
// Weights by parameter: random initialisation and distances.
pub mod weights;
// Node features and the graph encoder that turns nodes into tokens.
pub mod encoder;
// The map between tensors and the patches a predictor writes.
pub mod patches;
// Predictors of weights, their checkpoints and baselines.
pub mod predictor;
// Judging weights: accuracy, cross-entropy, calibration.
pub mod evaluate;
// What labelled images say of a network's weights: heads in closed form, and a few gradient steps.
pub mod condition;
// Checkpoints of many graphs, grown from the weights of predictors.
pub mod zoo;
// Several networks of one graph as one: alignment, merging, repair.
pub mod merge;
// Training a predictor through the task loss of the networks it predicts.
pub mod train;
// The main job: reading a graph, predicting, calibrating and writing its weights, and the report.
pub mod fill;
// Whether a network descends from a predictor, told by its weights.
pub mod trace;
// Ranking architectures that nobody has trained.
pub mod rank;
// How good predicted weights are on graphs that no training saw, beside what they are compared with.
pub mod benchmark;
// Whether a network is a copy, and what predicted networks give away of the images behind them.
pub mod audit;
// Choosing a device at run time.
pub mod device;
// The command line.
#[cfg(feature = "cli")]
pub mod cli;

pub use file_error::FileError;
