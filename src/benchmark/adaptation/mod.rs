//! Networks for labelled images of anybody: held-out graphs × data sets × numbers of labelled images ×
//! methods, each with its accuracy on test images, its seconds and its gradients. Predicted weights stand
//! beside random ones in the same hands, and beside ordinary training of equal seconds and of many epochs.

mod method;
mod outcome;
mod run;

pub use method::Method;
pub use outcome::{
    AdaptationOutcome, AdaptationResult, AdaptedData, MethodSummary, PairComparison,
};
pub use run::Adaptation;
