//! Weight-space operations on several networks of one graph. Their channels are brought into one order
//! ([`Alignment`]), their tensors are merged ([`Recipe`]; methods and parameters are those of mergekit), and
//! the result is repaired ([`Repair`]): activations of a merged network vary less than those of its parents,
//! which costs most of the accuracy (Jordan et al. 2023, arXiv:2211.08403).

mod activations;
mod alignment;
mod closed_form;
mod combine;
mod correlation;
mod diagram;
mod error;
mod layer;
mod method;
mod parents;
mod path;
mod pattern;
mod probe;
mod recipe;
mod regression;
mod repair;
mod rescale;
mod ridge;
mod soup;
mod sparsify;
#[cfg(test)]
mod tests;
mod unit;
mod widen;

pub use alignment::Alignment;
pub use diagram::diagram;
pub use error::MergeError;
pub use method::Method;
pub use parents::Parents;
pub use path::{Curve, Point};
pub use pattern::Pattern;
pub use recipe::Recipe;
pub use repair::Repair;
pub use soup::greedy_soup;
pub use widen::{Unfit, widen};
