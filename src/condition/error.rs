//! Why weights cannot be fitted to a support set.

use std::path::PathBuf;

use crate::{
    FileError, data::DataError, evaluate::EvaluateError, execute::ExecuteError,
    graph::NotAClassifier, ops::ResolveError, predictor::PredictorError,
};

/// Why a head cannot be solved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeadError {
    /// The outputs do not follow from one linear map.
    #[error("the network has no last linear map to solve: {0}")]
    NoHead(String),
    /// The linear map is not to be changed, or is part of something else.
    #[error("the last linear map '{name}' is not solved: {why}")]
    NotFree {
        /// Its weights.
        name: String,
        /// What holds it.
        why: String,
    },
    /// Features that say nothing of the classes.
    #[error(
        "no classes can be told from the features in front of '{0}': they are not finite, or the same for all images"
    )]
    NoFeatures(String),
    /// What follows the linear map does more than hand its outputs on.
    #[error(
        "the last linear map '{0}' is not solved: what follows it changes the order of its outputs"
    )]
    Changed(String),
}

/// Why weights cannot be fitted to a support set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConditionError {
    /// The classes of the images are not those of the network.
    #[error(
        "the network has {outputs} outputs, the support set {classes}; give the network one output for each class"
    )]
    Classes {
        /// Of the network.
        outputs: usize,
        /// Number and names.
        classes: String,
    },
    /// Images that nothing can be told apart by.
    #[error(
        "the support set has {images} of class '{class}' and none of another; give images of at least two classes"
    )]
    OneClass {
        /// How many there are.
        images: String,
        /// Their class.
        class: String,
    },
    /// The head is all that was to be fitted, and cannot be.
    #[error("{0}; take gradient steps instead: --support-steps 144")]
    Head(#[from] HeadError),
    /// A network that does not tell images apart.
    #[error("{0}; only classifiers are fitted to labelled images")]
    NotAClassifier(#[from] NotAClassifier),
    /// A network that does not take several images at a time.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The images.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Differences that are trained in a way of their own.
    #[error(
        "low-rank differences are trained by AdamW, and not averaged; leave --optimiser and --averaging out, or choose another --method"
    )]
    AdapterTuning,
    /// What an earlier run of fine-tuning left.
    #[error("{}: {problem}; delete it to start anew", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A file that cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Measuring statistics.
    #[error(transparent)]
    Predictor(#[from] PredictorError),
    /// Judging a network on a support set.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// Running the network.
    #[error(transparent)]
    Execute(#[from] ExecuteError),
}
