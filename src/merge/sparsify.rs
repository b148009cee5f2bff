//! Task vectors with fewer values.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Leaves the share `density` of the values that is largest in size, at least one.
pub(super) fn keep_largest(vector: &mut [f32], density: f64) {
    let kept = ((density * vector.len() as f64) as usize).max(1);
    if kept >= vector.len() {
        return;
    }
    let mut order: Vec<usize> = (0..vector.len()).collect();
    let larger =
        |&a: &usize, &b: &usize| vector[b].abs().total_cmp(&vector[a].abs()).then(a.cmp(&b));
    order.select_nth_unstable_by(kept, larger);
    order[kept..].iter().for_each(|&place| vector[place] = 0.0);
}

/// Leaves each value with probability `density`, divided by it.
pub(super) fn drop_at_random(vector: &mut [f32], density: f64, random: &mut ChaCha8Rng) {
    for value in vector {
        *value = if random.random_bool(density) { *value / density as f32 } else { 0.0 };
    }
}

/// By vector and place, whether a value has the sign of the weighted sum of all.
pub(super) fn outvote(vectors: &[Vec<f32>], weight: &[f64]) -> Vec<Vec<bool>> {
    let weighted = |voice: usize, place: usize| weight[voice] * f64::from(vectors[voice][place]);
    let places = vectors.first().map_or(0, Vec::len);
    let rises: Vec<bool> = (0..places)
        .map(|place| (0..vectors.len()).map(|voice| weighted(voice, place)).sum::<f64>() >= 0.0)
        .collect();
    let agrees = |voice: usize, place: usize| match weighted(voice, place) {
        value if value > 0.0 => rises[place],
        value => value < 0.0 && !rises[place],
    };
    (0..vectors.len())
        .map(|voice| (0..places).map(|place| agrees(voice, place)).collect())
        .collect()
}
