//! What long work tells whoever watches it.

use std::fmt::Debug;

/// Watches long work. Every method may be called from any thread; by default nothing is done.
pub trait Observer: Debug + Send + Sync {
    /// Work begins: its steps in all, and those that an earlier run has done.
    fn begin(&self, _steps: u64, _done: u64) {}
    /// Further steps are done.
    fn advance(&self, _steps: u64) {}
    /// How the work stands, in a few words.
    fn say(&self, _message: &str) {}
    /// The work is over.
    fn end(&self) {}
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {}
