//! The little linear algebra that scores need, on dense symmetric matrices in double precision.

use nalgebra::DMatrix;

/// A symmetric matrix, row-major.
#[derive(Clone, Debug)]
pub(super) struct Symmetric {
    pub size: usize,
    pub values: Vec<f64>,
}

impl Symmetric {
    /// Products of all pairs of rows of `length` values.
    pub fn gram(rows: &[f64], length: usize) -> Self {
        let size = rows.len() / length.max(1);
        let mut values = vec![0.0; size * size];
        for (i, a) in rows.chunks_exact(length).enumerate() {
            for (j, b) in rows.chunks_exact(length).enumerate().take(i + 1) {
                let product = dot(a, b);
                (values[i * size + j], values[j * size + i]) = (product, product);
            }
        }
        Self { size, values }
    }

    /// Eigenvalues in ascending order; of a matrix with values that are not finite, as many NaN.
    pub fn eigenvalues(self) -> Vec<f64> {
        let Self { size, values } = self;
        if size == 0 || !values.iter().all(|value| value.is_finite()) {
            return vec![f64::NAN; size];
        }
        let matrix = DMatrix::from_vec(size, size, values);
        let mut eigenvalues: Vec<f64> = matrix.symmetric_eigenvalues().iter().copied().collect();
        eigenvalues.sort_by(f64::total_cmp);
        eigenvalues
    }

    /// Logarithm of the determinant's absolute value; −∞ for a singular matrix.
    pub fn log_determinant(self) -> f64 {
        self.eigenvalues().iter().map(|value| value.abs().ln()).sum()
    }
}

/// In eight sums, which the compiler keeps in vectors.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a, a_rest) = a.as_chunks::<8>();
    let (b, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}

/// Rows as columns.
pub(super) fn transposed(rows: &[f64], length: usize) -> Vec<f64> {
    (0..length).flat_map(|column| rows.iter().skip(column).step_by(length).copied()).collect()
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;

    #[test]
    fn eigenvalues_are_those_of_numpy() {
        // numpy.linalg.eigvalsh
        let values = vec![
            4.0, 1.0, -2.0, 2.0, 1.0, 2.0, 0.0, 1.0, -2.0, 0.0, 3.0, -2.0, 2.0, 1.0, -2.0, -1.0,
        ];
        let eigenvalues = Symmetric { size: 4, values }.eigenvalues();
        let expected = [-2.19751698, 1.08436446, 2.26853141, 6.84462111];
        for (own, expected) in eigenvalues.iter().zip(expected) {
            assert_relative_eq!(*own, expected, max_relative = 1e-7);
        }
        for size in [1, 2, 3, 40] {
            let rows: Vec<f64> =
                (0..size * 50).map(|i| ((i * i + 3 * i) % 17) as f64 - 8.0).collect();
            let gram = Symmetric::gram(&rows, 50);
            let trace: f64 = (0..size).map(|i| gram.values[i * size + i]).sum();
            let square: f64 = gram.values.iter().map(|value| value * value).sum();
            let eigenvalues = gram.eigenvalues();
            assert_relative_eq!(eigenvalues.iter().sum::<f64>(), trace, max_relative = 1e-9);
            let squares: f64 = eigenvalues.iter().map(|value| value * value).sum();
            assert_relative_eq!(squares, square, max_relative = 1e-9);
        }
    }

    #[test]
    fn determinants_and_degenerate_matrices() {
        let two = Symmetric { size: 2, values: vec![3.0, 1.0, 1.0, 2.0] };
        assert_relative_eq!(two.log_determinant(), 5f64.ln(), max_relative = 1e-12);
        assert!(Symmetric { size: 0, values: vec![] }.eigenvalues().is_empty());
        let zero = Symmetric { size: 3, values: vec![0.0; 9] };
        assert_eq!(zero.eigenvalues(), [0.0; 3]);
        assert_eq!(transposed(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    }
}
