//! The Cholesky factor of a matrix, by halves, so that almost all of the work is matrix products.

use nalgebra::{DMatrix, DMatrixView, DMatrixViewMut};

/// Matrices of at most so many rows are not halved again.
const SMALL: usize = 48;

/// The lower factor L of a symmetric positive definite matrix, A = L Lᵀ.
#[derive(Clone, Debug)]
pub(crate) struct Cholesky(DMatrix<f64>);

impl Cholesky {
    /// Of a matrix, of which the lower triangle is read. `None` if it is not positive definite.
    pub fn of(mut matrix: DMatrix<f64>) -> Option<Self> {
        let whole = matrix.as_view_mut();
        factor(whole).then_some(Self(matrix))
    }

    /// L, with anything above its diagonal.
    pub fn lower(&self) -> &DMatrix<f64> {
        &self.0
    }

    /// A⁻¹ B.
    pub fn solve(&self, right: &DMatrix<f64>) -> DMatrix<f64> {
        self.second_solve(self.half_solve(right))
    }

    /// L⁻ᵀ B.
    pub fn second_solve(&self, mut right: DMatrix<f64>) -> DMatrix<f64> {
        backward(self.0.as_view(), right.as_view_mut());
        right
    }

    /// A⁻¹.
    pub fn inverse(&self) -> DMatrix<f64> {
        let size = self.0.nrows();
        let half = self.half_solve(&DMatrix::identity(size, size));
        half.transpose() * half
    }

    /// L⁻¹ B: the square of the length of its columns is bᵀ A⁻¹ b.
    pub fn half_solve(&self, right: &DMatrix<f64>) -> DMatrix<f64> {
        let mut solution = right.clone();
        forward(self.0.as_view(), solution.as_view_mut());
        solution
    }
}

/// Replaces the lower triangle by the factor.
fn factor(mut matrix: DMatrixViewMut<f64>) -> bool {
    let size = matrix.nrows();
    if size <= SMALL {
        return factor_small(matrix);
    }
    let half = size / 2;
    if !factor(matrix.view_mut((0, 0), (half, half))) {
        return false;
    }
    // The lower left block, transposed: L₁₁ (L₂₁)ᵀ = (A₂₁)ᵀ.
    let mut below = matrix.view((half, 0), (size - half, half)).transpose();
    forward(matrix.view((0, 0), (half, half)).as_view(), below.as_view_mut());
    let block = below.transpose();
    matrix.view_mut((half, 0), (size - half, half)).copy_from(&block);
    let mut rest = matrix.view_mut((half, half), (size - half, size - half));
    rest.gemm(-1.0, &block, &below, 1.0);
    factor(rest)
}

fn factor_small(mut matrix: DMatrixViewMut<f64>) -> bool {
    for column in 0..matrix.nrows() {
        for row in column..matrix.nrows() {
            let inner: f64 = (0..column).map(|at| matrix[(row, at)] * matrix[(column, at)]).sum();
            let left = matrix[(row, column)] - inner;
            if row > column {
                matrix[(row, column)] = left / matrix[(column, column)];
            } else if left > 0.0 && left.is_finite() {
                matrix[(row, column)] = left.sqrt();
            } else {
                return false;
            }
        }
    }
    true
}

/// Replaces B by L⁻¹ B.
fn forward(lower: DMatrixView<f64>, mut right: DMatrixViewMut<f64>) {
    let (size, columns) = right.shape();
    if size <= SMALL {
        for mut column in right.column_iter_mut() {
            for row in 0..size {
                let inner: f64 = (0..row).map(|at| lower[(row, at)] * column[at]).sum();
                column[row] = (column[row] - inner) / lower[(row, row)];
            }
        }
        return;
    }
    let half = size / 2;
    forward(lower.view((0, 0), (half, half)), right.view_mut((0, 0), (half, columns)));
    let (upper, mut rest) = right.rows_range_pair_mut(0..half, half..size);
    rest.gemm(-1.0, &lower.view((half, 0), (size - half, half)), &upper, 1.0);
    forward(lower.view((half, half), (size - half, size - half)), rest);
}

/// Replaces B by L⁻ᵀ B.
fn backward(lower: DMatrixView<f64>, mut right: DMatrixViewMut<f64>) {
    let (size, columns) = right.shape();
    if size <= SMALL {
        for mut column in right.column_iter_mut() {
            for row in (0..size).rev() {
                let inner: f64 = (row + 1..size).map(|at| lower[(at, row)] * column[at]).sum();
                column[row] = (column[row] - inner) / lower[(row, row)];
            }
        }
        return;
    }
    let half = size / 2;
    let last = lower.view((half, half), (size - half, size - half));
    backward(last, right.view_mut((half, 0), (size - half, columns)));
    let block = lower.view((half, 0), (size - half, half)).transpose();
    let (mut upper, rest) = right.rows_range_pair_mut(0..half, half..size);
    upper.gemm(-1.0, &block, &rest, 1.0);
    backward(lower.view((0, 0), (half, half)), upper);
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use nalgebra::DMatrix;

    use super::*;

    /// A positive definite matrix.
    fn gram(size: usize) -> DMatrix<f64> {
        let wave = |row: usize, column: usize| ((row * 31 + column * 17) as f64 * 0.37).sin();
        let matrix = DMatrix::from_fn(size, size + 5, wave);
        &matrix * matrix.transpose() + DMatrix::identity(size, size)
    }

    #[test]
    fn solutions_solve() {
        for size in [1, 2, SMALL, 3 * SMALL + 1] {
            let matrix = gram(size);
            let wanted = DMatrix::from_fn(size, 3, |row, column| (row + 2 * column) as f64 / 7.0);
            let factor = Cholesky::of(matrix.clone()).unwrap();
            let found = factor.solve(&(&matrix * &wanted));
            assert_relative_eq!(found, wanted, epsilon = 1e-8);
            let square = factor.half_solve(&wanted).column(2).norm_squared();
            let expected = wanted.column(2).dot(&factor.solve(&wanted).column(2));
            assert_relative_eq!(square, expected, max_relative = 1e-9);
        }
    }

    #[test]
    fn what_is_not_positive_definite_has_none() {
        let mut matrix = gram(2 * SMALL);
        matrix[(70, 70)] = -1.0;
        assert!(Cholesky::of(matrix).is_none());
        assert!(Cholesky::of(DMatrix::from_element(2, 2, f64::NAN)).is_none());
    }
}
