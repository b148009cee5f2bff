//! Kinds of operators.

use serde::Serialize;

/// What kind of operator one is: what stands in for it where it is not known itself, and the rows
/// of a summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OperatorFamily {
    /// A window of weights that slides over an image.
    Convolution,
    /// A matrix product.
    Linear,
    /// Attention as one operator.
    Attention,
    /// Shifts and scales to a mean and a variance.
    Normalisation,
    /// A nonlinearity.
    Activation,
    /// A window, or a whole image, becomes one value.
    Pooling,
    /// Axes become one value.
    Reduction,
    /// Sums, products and functions of numbers.
    Arithmetic,
    /// Values are kept and arranged in another way.
    Shape,
    /// Values that do not depend on the input.
    Constant,
    /// None of these.
    Other,
}

impl std::fmt::Display for OperatorFamily {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&format!("{self:?}").to_lowercase())
    }
}
