//! What the fast path cannot run.

/// A part of the graph that has no kernel; run it with [`super::execute`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no fast kernel for {0}")]
pub struct NotLowered(pub String);
