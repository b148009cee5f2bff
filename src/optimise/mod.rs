//! Optimisers on slices: one step each, from a gradient and the state that the caller keeps. Tensors
//! are updated one by one, in any order, and results are the same on every processor.

mod adam;
mod muon;
mod schedule;
mod sgd;

pub(crate) use adam::Adam;
pub(crate) use muon::Muon;
pub(crate) use schedule::{cosine, linear, warm_up};
pub(crate) use sgd::Sgd;

/// The factor that brings a gradient of some norm down to the largest norm.
pub(crate) fn clip(norm: f32, largest: f32) -> f32 {
    if norm > largest { largest / norm } else { 1.0 }
}
