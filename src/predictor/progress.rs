//! How long work tells its caller how far it is.

use std::fmt;

/// Is told of steps as they are done, from any thread; by default nobody is told.
#[derive(Clone, Copy)]
pub struct ProgressCallback<'a>(&'a (dyn Fn(u64) + Sync));

impl<'a> ProgressCallback<'a> {
    /// Calls a function with the number of steps that were done since the last call.
    pub fn new(tell: &'a (dyn Fn(u64) + Sync)) -> Self {
        Self(tell)
    }

    /// Says that further steps are done.
    pub fn advance(&self, steps: u64) {
        (self.0)(steps);
    }
}

impl Default for ProgressCallback<'_> {
    fn default() -> Self {
        Self(&|_| {})
    }
}

impl fmt::Debug for ProgressCallback<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProgressCallback")
    }
}
