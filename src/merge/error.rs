//! Why networks cannot be merged.

use crate::{execute::ExecuteError, predictor::PredictorError, zoo::ZooError};

use super::Method;

/// Why networks cannot be merged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// Too few or too many networks.
    #[error("{method} takes {wanted}, {given} given")]
    Networks {
        /// The method.
        method: Method,
        /// How many it takes.
        wanted: &'static str,
        /// How many there are.
        given: usize,
    },
    /// Task vectors without the network that they start from.
    #[error(
        "{method} adds up what networks learned beyond their base; name it with --base BASE.onnx"
    )]
    NoBase {
        /// The method.
        method: Method,
    },
    /// Not one value per network.
    #[error("{given} values of '{name}' for {networks} networks; give one for each")]
    Count {
        /// The parameter.
        name: &'static str,
        /// Values given.
        given: usize,
        /// Networks given.
        networks: usize,
    },
    /// A parameter out of its range.
    #[error("'{name}' is {value}; it must be {wanted}")]
    Range {
        /// The parameter.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What it may be.
        wanted: &'static str,
    },
    /// Something that images are needed for.
    #[error("{what}; name a data set with --data DATA")]
    NeedsData {
        /// What needs them, as a sentence.
        what: String,
    },
    /// A repair that sets activations between those of parents, where there is no between.
    #[error(
        "repair '{repair}' interpolates between the parents, which {method} does not; choose \
         'statistics' or 'none'"
    )]
    NothingBetween {
        /// The repair.
        repair: String,
        /// The method.
        method: Method,
    },
    /// A repair without data that has no statistics to start from.
    #[error(
        "repair 'closed-form' corrects the statistics of batch normalisations behind layers, and the \
         graph has none; choose 'rescale' with --data DATA, or 'none'"
    )]
    NothingStored,
    /// A network of another graph.
    #[error(
        "{file} is graph {found:016x}, {first} is graph {wanted:016x}; only networks of one graph can be \
         merged, or narrower and shallower ones of the first one's kind, with tensors of the same names"
    )]
    OtherGraph {
        /// The file.
        file: String,
        /// Fingerprint of its graph.
        found: u64,
        /// The file that it was to be merged with.
        first: String,
        /// Fingerprint of that graph.
        wanted: u64,
    },
    /// A tensor of another shape.
    #[error(
        "{file}: tensor '{tensor}' has shape {found:?}, in {first} it has {wanted:?}, and {file} cannot be \
         widened: {why}"
    )]
    OtherShape {
        /// The file.
        file: String,
        /// The tensor.
        tensor: String,
        /// Its shape.
        found: Box<[usize]>,
        /// The file that it was to be merged with.
        first: String,
        /// The shape there.
        wanted: Box<[usize]>,
        /// Why the one is no narrower network of the other's kind.
        why: &'static str,
    },
    /// A network that computes something else once it is widened.
    #[error(
        "{file}: widened to {first}, it computes something else (off by {off:.1e}), as do networks with layer \
         or group normalisations whose channels are not repeated equally often, and with further layers that \
         no shortcut leads past; merge networks of the same widths and depths"
    )]
    NotWidened {
        /// The file.
        file: String,
        /// The file with the wider network.
        first: String,
        /// Largest difference of outputs, beside the largest output.
        off: f64,
    },
    /// A narrower or shallower network where differences from a base are added up.
    #[error(
        "{file} is narrower or shallower than its base, and {method} adds up differences between networks of one size; \
         choose mean, slerp, soup or learned-soup"
    )]
    Narrower {
        /// The file.
        file: String,
        /// The method.
        method: Method,
    },
    /// Values that are no numbers.
    #[error(
        "{file}: tensor '{tensor}' has values that are infinite or no numbers; merge another checkpoint"
    )]
    NotFinite {
        /// The file.
        file: String,
        /// The tensor.
        tensor: String,
    },
    /// State dicts without a graph.
    #[error("{file} holds no graph; name it with --graph GRAPH.onnx")]
    NoGraph {
        /// The file.
        file: String,
    },
    /// A pattern that no tensor has.
    #[error("no tensor is called '{pattern}'; `weightsmith inspect` lists the names")]
    NoSuchLayer {
        /// The pattern.
        pattern: String,
    },
    /// A network that does not run on the images.
    #[error(
        "activations cannot be measured: {why}; choose another --repair or --align than {needs}"
    )]
    Unmeasured {
        /// What they are needed for.
        needs: &'static str,
        /// Why.
        why: String,
    },
    /// Alignment of networks that do not compute the same any more.
    #[error(
        "{file}: aligned by {alignment}, it computes something else (off by {off:.1e}): this is a defect of \
         weightsmith; choose --align none"
    )]
    NotTheSame {
        /// The file.
        file: String,
        /// How it was aligned.
        alignment: String,
        /// Largest difference of outputs, beside the largest output.
        off: f64,
    },
    /// Channel groups.
    #[error(transparent)]
    Zoo(#[from] ZooError),
    /// Measuring statistics.
    #[error(transparent)]
    Predictor(#[from] PredictorError),
    /// Running a network.
    #[error(transparent)]
    Execute(#[from] ExecuteError),
}
