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
