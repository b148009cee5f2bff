//! The linear assignment problem, by shortest augmenting paths with potentials in O(n³)
//! (Jonker & Volgenant 1987).

/// The column of each row such that every column is taken once and the sum of gains is largest.
/// `gains` is a row-major `size × size` matrix of finite numbers. Of equally good assignments the
/// same one is found every time.
///
/// # Panics
/// If there are not `size · size` gains.
pub(super) fn assign(gains: &[f32], size: usize) -> Vec<usize> {
    assert_eq!(gains.len(), size * size);
    let cost = |row: usize, column: usize| -f64::from(gains[row * size + column]);
    // The column at `size` is a stand-in at which each search starts.
    let mut row_potential = vec![0.0; size];
    let mut column_potential = vec![0.0; size + 1];
    let mut row_of: Vec<Option<usize>> = vec![None; size + 1];
    for first in 0..size {
        row_of[size] = Some(first);
        let mut column = size;
        let mut distance = vec![f64::INFINITY; size];
        let mut before = vec![size; size];
        let mut done = vec![false; size + 1];
        while let Some(row) = row_of[column] {
            done[column] = true;
            let (mut nearest, mut step) = (column, f64::INFINITY);
            for next in (0..size).filter(|&next| !done[next]) {
                let reduced = cost(row, next) - row_potential[row] - column_potential[next];
                if reduced < distance[next] {
                    (distance[next], before[next]) = (reduced, column);
                }
                if distance[next] < step {
                    (nearest, step) = (next, distance[next]);
                }
            }
            for other in 0..=size {
                match row_of[other] {
                    Some(row) if done[other] => {
                        row_potential[row] += step;
                        column_potential[other] -= step;
                    }
                    _ if other < size => distance[other] -= step,
                    _ => {}
                }
            }
            if nearest == column {
                break;
            }
            column = nearest;
        }
        while column != size {
            let earlier = before[column];
            row_of[column] = row_of[earlier];
            column = earlier;
        }
    }
    let mut columns = vec![0; size];
    for (column, row) in row_of[..size].iter().enumerate() {
        if let Some(row) = row {
            columns[*row] = column;
        }
    }
    columns
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
