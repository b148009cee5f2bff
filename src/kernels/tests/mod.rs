//! Kernels against plain loops in double precision, at every level that the processor has.

mod activation;
mod conv;
mod levels;
mod norm;
mod pool;
mod tokens;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{
    Pixel,
    pixel::{blocks, gather, scatter},
};

fn random(seed: u64, count: usize) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| random.random_range(-1.0..1.0)).collect()
}

/// `[image][channel][pixel]` as pixels.
fn pack(x: &[f32], batch: usize, channels: usize) -> Vec<Pixel> {
    let plane = x.len() / (batch * channels);
    let mut out = vec![Pixel::splat(f32::NAN); channels * blocks(batch) * plane];
    gather(x, batch, channels, &mut out);
    out
}

fn unpack(x: &[Pixel], batch: usize, channels: usize) -> Vec<f32> {
    let mut out = vec![0.0; x.len() / blocks(batch) * batch];
    scatter(x, batch, channels, &mut out);
    out
}

#[track_caller]
fn assert_close(fast: &[f32], slow: &[f64], what: &str) {
    assert_eq!(fast.len(), slow.len(), "{what}");
    let scale = slow.iter().fold(1.0f64, |scale, value| scale.max(value.abs()));
    for (index, (fast, slow)) in fast.iter().zip(slow).enumerate() {
        let error = (f64::from(*fast) - slow).abs();
        assert!(error < 2e-5 * scale, "{what} at {index}: {fast} is not {slow}");
    }
}

/// The derivative of `f` by each of `x`.
fn derivative(x: &[f64], f: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    const STEP: f64 = 1e-5;
    let mut moved = x.to_vec();
    (0..x.len())
        .map(|index| {
            let mut at = |step: f64| {
                moved[index] = x[index] + step;
                f(&moved)
            };
            let difference = at(STEP) - at(-STEP);
            moved[index] = x[index];
            difference / (2.0 * STEP)
        })
        .collect()
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().copied().map(f64::from).collect()
}
