//! What a network is merged from.

use crate::graph::Weights;

/// The networks that were merged, in one order of channels, and what each contributed.
#[derive(Clone, Copy, Debug)]
pub struct Parents<'a> {
    /// Their weights.
    pub networks: &'a [Weights],
    /// By network; they sum to 1.
    pub shares: &'a [f64],
}

impl<'a> Parents<'a> {
    /// Those that contributed anything, each with its share.
    pub(super) fn contributing(self) -> impl Iterator<Item = (&'a Weights, f64)> {
        let pairs = self.networks.iter().zip(self.shares.iter().copied());
        pairs.filter(|&(_, share)| share != 0.0)
    }
}
