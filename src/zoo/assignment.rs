//! The linear assignment problem.

use pathfinding::{kuhn_munkres::kuhn_munkres, matrix::Matrix};

/// Whole numbers that the largest gain is cut into: the algorithm compares sums exactly.
const PARTS: f64 = (1_u64 << 40) as f64;

/// The column of each row such that every column is taken once and the sum of gains is largest, up to a
/// share of 2⁻⁴⁰ of the largest gain. `gains` is a row-major `size × size` matrix of finite numbers. Of
/// equally good assignments the same one is found every time.
///
/// # Panics
/// If there are not `size · size` gains.
pub(crate) fn assign(gains: &[f32], size: usize) -> Vec<usize> {
    assert_eq!(gains.len(), size * size);
    if size == 0 {
        return Vec::new();
    }
    let largest = gains.iter().fold(0.0, |largest: f64, &gain| largest.max(f64::from(gain).abs()));
    let unit = if largest > 0.0 { PARTS / largest } else { 0.0 };
    let whole = |row, column| (f64::from(gains[row * size + column]) * unit).round() as i64;
    kuhn_munkres(&Matrix::from_fn(size, size, |(row, column)| whole(row, column))).1
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// The largest sum of gains over all assignments of the rows from `row` on.
    fn best(gains: &[f32], size: usize, row: usize, taken: &mut Vec<bool>) -> f32 {
        if row == size {
            return 0.0;
        }
        let mut found = f32::NEG_INFINITY;
        for column in 0..size {
            if !std::mem::replace(&mut taken[column], true) {
                let sum = gains[row * size + column] + best(gains, size, row + 1, taken);
                taken[column] = false;
                found = found.max(sum);
            }
        }
        found
    }

    #[test]
    fn nothing_is_better_than_what_is_found() {
        let mut random = ChaCha8Rng::seed_from_u64(0);
        for trial in 0..200 {
            let size = trial % 7;
            // Whole numbers make ties.
            let gains: Vec<f32> = (0..size * size)
                .map(|_| match trial % 2 {
                    0 => random.random_range(-1.0..1.0),
                    _ => random.random_range(-3i8..3).into(),
                })
                .collect();
            let columns = assign(&gains, size);
            let mut sorted = columns.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..size).collect::<Vec<_>>());
            let sum: f32 = columns.iter().enumerate().map(|(row, c)| gains[row * size + c]).sum();
            let best = best(&gains, size, 0, &mut vec![false; size]);
            assert!((sum - best).abs() < 1e-5, "{sum} instead of {best}");
        }
    }

    #[test]
    fn a_permutation_is_recovered() {
        let size = 64;
        let mut gains = vec![0.0; size * size];
        for row in 0..size {
            gains[row * size + (row * 5 + 3) % size] = 1.0;
        }
        let expected: Vec<usize> = (0..size).map(|row| (row * 5 + 3) % size).collect();
        assert_eq!(assign(&gains, size), expected);
    }
}
