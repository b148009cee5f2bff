//! Matrices with their singular values brought close to one.

use super::{
    elementwise::dot,
    gemm::{View, multiply},
};

/// Coefficients of the quintic x ↦ a x + b x³ + c x⁵ that brings singular values from (0, 1] to about
/// 0.7–1.2 in a few rounds (Jordan et al. 2024, *Muon*).
const QUINTIC: [f32; 3] = [3.4445, -4.775, 2.0315];
const ROUNDS: usize = 5;

/// Replaces a row-major matrix by about the nearest one with orthonormal rows or columns, whichever are
/// fewer, by Newton–Schulz iteration: U Vᵀ of its singular value decomposition U S Vᵀ, with S between
/// 0.7 and 1.2. Zeros stay zeros. A matrix so small that its squares underflow becomes zeros, because its
/// norm is not known well enough for the iteration to converge.
pub fn orthogonalise(matrix: &mut [f32], columns: usize) {
    let norm = dot(matrix, matrix).sqrt();
    if columns == 0 || !norm.is_finite() {
        return;
    }
    if norm < f32::MIN_POSITIVE.sqrt() {
        return matrix.fill(0.0);
    }
    matrix.iter_mut().for_each(|value| *value /= norm);
    let rows = matrix.len() / columns;
    let small = rows.min(columns);
    let [mut gram, mut square] = [vec![0.0; small * small], vec![0.0; small * small]];
    let mut turned = vec![0.0; matrix.len()];
    let [a, b, c] = QUINTIC;
    for _ in 0..ROUNDS {
        let (own, transposed) = (View::rows(matrix, columns), View::transposed(matrix, columns));
        let sides = if rows <= columns { [own, transposed] } else { [transposed, own] };
        multiply([small, small, rows.max(columns)], sides[0], sides[1], &mut gram, small, false);
        let view = View::rows(&gram, small);
        multiply([small; 3], view, view, &mut square, small, false);
        for (gram, square) in gram.iter_mut().zip(&square) {
            *gram = b * *gram + c * square;
        }
        let (gram, own) = (View::rows(&gram, small), View::rows(matrix, columns));
        let [left, right] = if rows <= columns { [gram, own] } else { [own, gram] };
        multiply([rows, columns, small], left, right, &mut turned, columns, false);
        matrix.iter_mut().zip(&turned).for_each(|(value, turned)| *value = a * *value + turned);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn singular_values_come_close_to_one() {
        for (rows, columns) in [(3, 5), (5, 3), (1, 4)] {
            let mut matrix: Vec<f32> =
                (0..rows * columns).map(|at| ((at * 7 + 3) % 11) as f32 - 4.0).collect();
            let before = matrix.clone();
            orthogonalise(&mut matrix, columns);
            assert!(dot(&before, &matrix) > 0.0);
            let small = rows.min(columns);
            let mut gram = vec![0.0; small * small];
            let (own, turned) = (View::rows(&matrix, columns), View::transposed(&matrix, columns));
            let sides = if rows <= columns { [own, turned] } else { [turned, own] };
            multiply(
                [small, small, rows.max(columns)],
                sides[0],
                sides[1],
                &mut gram,
                small,
                false,
            );
            for row in 0..small {
                for column in 0..small {
                    let expected = f32::from(u8::from(row == column));
                    assert!((gram[row * small + column] - expected).abs() < 0.6, "{gram:?}");
                }
            }
        }
        let mut zeros = [0.0; 6];
        orthogonalise(&mut zeros, 3);
        assert_eq!(zeros, [0.0; 6]);
        for exponent in 15..45 {
            let tiny = 10f32.powi(-exponent);
            let mut matrix: Vec<f32> = (0..25).map(|at| tiny * ((at * 7) % 11) as f32).collect();
            orthogonalise(&mut matrix, 5);
            assert!(matrix.iter().all(|value| value.abs() < 1.5), "{exponent}: {matrix:?}");
        }
    }
}
