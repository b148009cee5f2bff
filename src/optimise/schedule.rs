//! Courses of the learning rate, as factors on its peak but for [`warm_up`].

/// Half a cosine wave from 1 to 0 (Loshchilov & Hutter 2017).
pub(crate) fn cosine(progress: f32) -> f32 {
    0.5 * (1.0 + (std::f32::consts::PI * progress.min(1.0)).cos())
}

/// From 1 down to 0.
pub(crate) fn linear(progress: f32) -> f32 {
    1.0 - progress
}

/// The rate at a step, from 0, of a linear rise to the peak in so many steps.
pub(crate) fn warm_up(peak: f32, step: u64, steps: u64) -> f32 {
    peak * (step + 1) as f32 / steps as f32
}
