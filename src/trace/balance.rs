//! One scale for every channel. A layer may return larger values if the next one reads them smaller, so only what is
//! left of weights once rows and columns have one size tells networks apart (Sinkhorn & Knopp 1967).

/// Rounds over rows and columns.
const ROUNDS: usize = 12;

/// A tensor whose slices along its first axis have one mean square, and those along its second, too: the same for all
/// positive scalings of its channels. Slices of zeros stay.
pub(super) fn balanced(values: &[f32], shape: &[usize]) -> Vec<f32> {
    let &[rows, columns, ..] = shape else { return values.to_vec() };
    let taps = shape[2..].iter().product::<usize>().max(1);
    let square = |tap: &[f32]| tap.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>();
    let squares: Vec<f64> = values.chunks(taps).map(square).collect();
    let (mut by_row, mut by_column) = (vec![1.0; rows], vec![1.0; columns]);
    let scale = |sum: f64, count: usize| if sum > 0.0 { count as f64 / sum } else { 0.0 };
    for _ in 0..ROUNDS {
        for (row, squares) in by_row.iter_mut().zip(squares.chunks(columns)) {
            let sum = squares.iter().zip(&by_column).map(|(square, scale)| square * scale).sum();
            *row = scale(sum, columns);
        }
        let mut sums = vec![0.0; columns];
        for (row, squares) in by_row.iter().zip(squares.chunks(columns)) {
            sums.iter_mut().zip(squares).for_each(|(sum, square)| *sum += row * square);
        }
        by_column = sums.into_iter().map(|sum| scale(sum, rows)).collect();
    }
    let channels = values.chunks(taps).enumerate();
    let scaled = channels.flat_map(|(index, tap)| {
        let scale = (by_row[index / columns] * by_column[index % columns]).sqrt();
        tap.iter().map(move |&value| (f64::from(value) * scale) as f32)
    });
    scaled.collect()
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::balanced;

    #[test]
    fn scales_of_channels_leave_no_trace() {
        let shape = [3, 4, 2];
        let values: Vec<f32> = (0..24).map(|index| ((index * 7 % 11) as f32 - 4.5) / 3.0).collect();
        let scaled = values.iter().enumerate().map(|(index, value)| {
            let (row, column) = (index / 8, index / 2 % 4);
            value * [0.1, 3.0, 20.0][row] / [1.0, 0.5, 8.0, 2.0][column]
        });
        let scaled: Vec<f32> = scaled.collect();
        for (one, other) in balanced(&values, &shape).iter().zip(balanced(&scaled, &shape)) {
            assert_relative_eq!(*one, other, max_relative = 1e-3);
        }
    }

    #[test]
    fn pruned_channels_stay_zero() {
        let shape = [2, 2];
        assert_eq!(
            balanced(&[0.0, 0.0, 2.0, -5.0], &shape),
            [0.0, 0.0, 1.0, -1.0].map(|it: f32| it * 2.0f32.sqrt())
        );
        assert_eq!(balanced(&[3.0], &[1]), [3.0]);
    }
}
