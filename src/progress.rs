//! How far a long piece of work is.

/// Told of the steps of a piece of work, from all of its threads. `()` listens to nothing.
pub trait Progress: Sync {
    /// So many steps are to be taken.
    fn start(&self, _steps: u64) {}
    /// One of them was.
    fn step(&self) {}
    /// No more will be.
    fn finish(&self) {}
}

impl Progress for () {}
