//! Why a network cannot be read, filled, written or checked.

use std::{io, path::PathBuf};

use crate::{
    FileError,
    condition::ConditionError,
    data::DataError,
    evaluate::EvaluateError,
    execute::ExecuteError,
    graph::{NotAClassifier, OpenDim, ReadError},
    merge::MergeError,
    onnx::OnnxError,
    ops::ResolveError,
    predictor::PredictorError,
    zoo::ZooError,
};

/// Why a network cannot be read, filled, written or checked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FillError {
    /// A file that could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A result of an earlier run that nobody allowed to replace.
    #[error("{}: exists already; overwrite it or choose another folder", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A model card that would replace a text of somebody else's.
    #[error("{}: was not written by weightsmith and is not replaced; choose another folder", path.display())]
    ForeignCard {
        /// The file.
        path: PathBuf,
    },
    /// A result that would replace the network it is made from.
    #[error("{}: is the input; choose another folder", path.display())]
    IsInput {
        /// The file.
        path: PathBuf,
    },
    /// A file that is no ONNX model, or of which none can be made.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// A model that could not be put together in memory.
    #[error(transparent)]
    Model(io::Error),
    /// The graph of a file.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The operators of a graph.
    #[error("{file}: {problem}{}", and_advice(open))]
    Resolve {
        /// The file.
        file: String,
        /// What is wrong with which node.
        problem: ResolveError,
        /// Dimensions that were taken as 1.
        open: Vec<OpenDim>,
    },
    /// A network that was to read images.
    #[error("{file}: {problem}; take such a network, or leave the data set out")]
    NoImages {
        /// The file.
        file: String,
        /// What it reads.
        problem: NotAClassifier,
    },
    /// A network that was to learn from labelled images.
    #[error("{file}: {problem}; take such a network, or leave the labelled images out")]
    NoClasses {
        /// The file.
        file: String,
        /// What it returns.
        problem: NotAClassifier,
    },
    /// A head that cannot be exchanged for one of other classes.
    #[error(
        "{file}: its head cannot be made for {classes} classes: {why}; export the network with so many outputs"
    )]
    FixedHead {
        /// The file.
        file: String,
        /// Classes wanted.
        classes: usize,
        /// What stands in the way.
        why: String,
    },
    /// A network that was to read images whose size its file leaves open.
    #[error("{file}: images of {} × {} pixels tell nothing apart{}", shape[1], shape[2], and_advice(open))]
    OpenSize {
        /// The file.
        file: String,
        /// Channels, height and width.
        shape: [usize; 3],
        /// Dimensions that were taken as 1.
        open: Vec<OpenDim>,
    },
    /// A network that was to hold weights.
    #[error("{file}: parameter '{parameter}' has no value; fill the network with predict first")]
    NoValue {
        /// The file.
        file: String,
        /// Name of the parameter.
        parameter: String,
    },
    /// A tensor that was to be kept and is not there.
    #[error("{file}: no tensor '{name}' to keep; `weightsmith inspect` lists the names")]
    NothingToKeep {
        /// The file.
        file: String,
        /// The name that was given.
        name: String,
    },
    /// A tensor that was to be kept and has no value.
    #[error(
        "{file}: '{name}' has no value in the file to keep; export the network with its weights"
    )]
    NoValueToKeep {
        /// The file.
        file: String,
        /// The name that was given.
        name: String,
    },
    /// A network that normalises its images itself already.
    #[error(
        "{file}: it normalises its images itself; predict from the file that it was made of, with --bake-normalization"
    )]
    IsBaked {
        /// The file.
        file: String,
    },
    /// A network that was to normalise its images itself.
    #[error("{file}: normalisation cannot be put into the graph: {why}")]
    NotBaked {
        /// The file.
        file: String,
        /// What is in the way.
        why: String,
    },
    /// A state dict that does not fit its network.
    #[error("{}: {problem}", path.display())]
    StateDict {
        /// The file.
        path: PathBuf,
        /// What is wrong with which tensor.
        problem: String,
    },
    /// A predictor, or a graph that does not fit it.
    #[error(transparent)]
    Predictor(#[from] PredictorError),
    /// A support set.
    #[error(transparent)]
    Condition(#[from] ConditionError),
    /// A data set.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Running a filled network.
    #[error(transparent)]
    Execute(#[from] ExecuteError),
    /// A filled network on a data set.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// Samples none of which can be compared with the others.
    #[error("no sample gives finite logits")]
    NoFiniteLogits,
    /// Sampling without samples.
    #[error("nothing was drawn")]
    NothingDrawn,
    /// A report that nothing can be checked against.
    #[error("{}: not a report that files can be checked against: {problem}", path.display())]
    Report {
        /// The file.
        path: PathBuf,
        /// What is wrong with which field.
        problem: serde_json::Error,
    },
    /// A sample that was never drawn, by what its own report says.
    #[error("the report names a sample beyond those that it says were drawn")]
    NoSuchSample,
    /// Statistics cannot be measured again without the images.
    #[error("statistics were measured on a data set; name it")]
    NeedsCalibrationData,
    /// Weights that were trained are not made again.
    #[error(
        "the network was fine-tuned: only what a predictor wrote can be made again; check it without"
    )]
    FineTuned,
    /// Weights that were merged are not made again.
    #[error(
        "the network was merged: only what a predictor wrote can be made again; check it without"
    )]
    Merged,
    /// Weights cannot be fitted again without the images.
    #[error("weights were fitted to a data set; name it")]
    NeedsSupportSet,
    /// Weights that are marked, where the key is not given.
    #[error("the weights carry a watermark, whose key is needed to make them again")]
    NeedsWatermark,
    /// Networks that cannot be merged.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// A checkpoint of a zoo.
    #[error(transparent)]
    Zoo(#[from] ZooError),
    /// A checkpoint that belongs to another graph.
    #[error("{file} is graph {found:016x}; the checkpoint is of graph {wanted:016x}")]
    OtherGraph {
        /// The file.
        file: String,
        /// Fingerprint of its graph.
        found: u64,
        /// Fingerprint of the checkpoint's graph.
        wanted: u64,
    },
}

/// What to do about open dimensions, behind a problem that they may be the cause of.
fn and_advice(open: &[OpenDim]) -> String {
    match OpenDim::advice(open) {
        advice if advice.is_empty() => advice,
        advice => format!("; {advice}"),
    }
}
