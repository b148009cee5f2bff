//! What a graph is like, in numbers.

use super::{Quantities, Quantity};

/// What a graph is like to a predictor. It does not depend on the order of nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct Descriptor {
    /// The mean of its node tokens; of a denoiser those without a condition.
    pub token: Vec<f32>,
    /// Its sizes.
    pub sizes: Quantities,
    /// Values of the first output for one example, if they can be counted.
    pub outputs: Option<usize>,
}

impl Descriptor {
    /// The token, then the logarithms of all sizes; one that the graph does not have counts as 1.
    pub(super) fn values(&self) -> Vec<f32> {
        let size = |quantity| self.sizes.get(&quantity).copied().unwrap_or(1).max(1) as f32;
        let sizes = Quantity::ALL.into_iter().map(|quantity| size(quantity).ln());
        self.token.iter().copied().chain(sizes).collect()
    }
}
