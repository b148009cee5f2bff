//! Linear regression with an L2 penalty.

use nalgebra::DMatrix;

use crate::{
    condition::Cholesky,
    kernels::gemm::{View, multiply_shared},
};

/// What to add to the weights of a linear map so that it makes up for residuals: `inputs` is rows × columns,
/// `residuals` rows × outputs, both row-major; the result is columns × outputs. The penalty counts against the
/// mean square of the inputs. Solved for columns or for rows, of which there are fewer. `None` where nothing can be
/// solved: inputs that are all zero, or no numbers.
pub(super) fn ridge(
    inputs: &[f32],
    residuals: &[f32],
    rows: usize,
    penalty: f64,
) -> Option<Vec<f32>> {
    let (columns, outputs) = (inputs.len() / rows, residuals.len() / rows);
    let square: f64 = inputs.iter().map(|&it| f64::from(it).powi(2)).sum();
    let penalty = penalty * square / columns as f64;
    if !(penalty > 0.0 && penalty.is_finite()) {
        return None;
    }
    let (straight, turned) = (View::rows(inputs, columns), View::transposed(inputs, columns));
    let by_outputs = View::rows(residuals, outputs);
    let size = columns.min(rows);
    let mut products = vec![0.0; size * size];
    if columns <= rows {
        multiply_shared([columns, columns, rows], turned, straight, &mut products);
        let mut right = vec![0.0; columns * outputs];
        multiply_shared([columns, outputs, rows], turned, by_outputs, &mut right);
        solved(&products, penalty, &right, size)
    } else {
        multiply_shared([rows, rows, columns], straight, turned, &mut products);
        let solved = solved(&products, penalty, residuals, size)?;
        let mut change = vec![0.0; columns * outputs];
        let solved = View::rows(&solved, outputs);
        multiply_shared([columns, outputs, rows], turned, solved, &mut change);
        Some(change)
    }
}

/// (A + penalty)⁻¹ B of row-major matrices.
fn solved(matrix: &[f32], penalty: f64, right: &[f32], size: usize) -> Option<Vec<f32>> {
    // Symmetric, so the order of rows and columns does not matter.
    let mut matrix = DMatrix::from_iterator(size, size, matrix.iter().map(|&it| f64::from(it)));
    for index in 0..size {
        matrix[(index, index)] += penalty;
    }
    let right =
        DMatrix::from_row_iterator(size, right.len() / size, right.iter().map(|&it| f64::from(it)));
    let solved = Cholesky::of(matrix)?.solve(&right);
    Some(solved.transpose().iter().map(|&it| it as f32).collect())
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// (XᵀX + p) W = Xᵀ Y by plain sums.
    fn off(inputs: &[f32], residuals: &[f32], rows: usize, penalty: f64, found: &[f32]) -> f64 {
        let (columns, outputs) = (inputs.len() / rows, residuals.len() / rows);
        let x = DMatrix::from_row_iterator(rows, columns, inputs.iter().map(|&it| f64::from(it)));
        let y =
            DMatrix::from_row_iterator(rows, outputs, residuals.iter().map(|&it| f64::from(it)));
        let w = DMatrix::from_row_iterator(columns, outputs, found.iter().map(|&it| f64::from(it)));
        let penalty = penalty * x.norm_squared() / columns as f64;
        (x.transpose() * &x * &w + penalty * &w - x.transpose() * y).norm()
    }

    #[test]
    fn both_forms_solve_the_normal_equations() {
        let mut random = ChaCha8Rng::seed_from_u64(0);
        for (rows, columns, outputs) in [(40, 7, 3), (7, 40, 3), (5, 5, 1)] {
            let mut draw = |count: usize| -> Vec<f32> {
                (0..count).map(|_| random.random_range(-1.0..1.0)).collect()
            };
            let (inputs, residuals) = (draw(rows * columns), draw(rows * outputs));
            let found = ridge(&inputs, &residuals, rows, 0.1).unwrap();
            assert_relative_eq!(off(&inputs, &residuals, rows, 0.1, &found), 0.0, epsilon = 1e-4);
        }
        assert_eq!(ridge(&[0.0; 6], &[1.0; 3], 3, 0.1), None);
    }
}
