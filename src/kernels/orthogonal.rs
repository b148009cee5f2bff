//! Matrices with their singular values brought close to one.

use super::{
    elementwise::dot,
    gemm::{View, multiply_shared},
};

/// Coefficients of the quintic x ↦ a x + b x³ + c x⁵ that brings singular values from (0, 1] to about
/// 0.7–1.2 in a few rounds (Jordan et al. 2024, *Muon*).
const QUINTIC: [f32; 3] = [3.4445, -4.775, 2.0315];
const ROUNDS: usize = 5;

/// How many times as long as wide a matrix is from which on the products of its short side are what is iterated on.
const LONG: usize = 2;

/// Most rows that are made orthogonal to each other: the cost for each grows with their number.
const BLOCK: usize = 128;

/// Values beside the norm that count as nothing: the iteration multiplies them by 500 at most, and their squares would be
/// subnormal numbers, with which a product takes a hundred times as long.
const NEGLIGIBLE: f32 = 1e-12;

/// Replaces a row-major matrix, block by block of rows, by about the nearest one with orthonormal rows or columns,
/// whichever are fewer, by Newton–Schulz iteration: U Vᵀ of its singular value decomposition U S Vᵀ, with S between
/// 0.7 and 1.2. Zeros stay zeros. A block so small that its squares underflow becomes zeros, because its
/// norm is not known well enough for the iteration to converge; one that is not finite stays as it is.
pub fn orthogonalise(matrix: &mut [f32], columns: usize) {
    if columns > 0 {
        matrix.chunks_mut(BLOCK * columns).for_each(|block| orthogonalise_block(block, columns));
    }
}

fn orthogonalise_block(matrix: &mut [f32], columns: usize) {
    let norm = dot(matrix, matrix).sqrt();
    if !norm.is_finite() {
        return;
    }
    if norm < f32::MIN_POSITIVE.sqrt() {
        return matrix.fill(0.0);
    }
    for value in matrix.iter_mut() {
        *value /= norm;
        if value.abs() < NEGLIGIBLE {
            *value = 0.0;
        }
    }
    let mut matrix = Matrix::new(matrix, columns);
    let [short, long] = matrix.sides();
    if long >= LONG * short { iterate_on_gram(&mut matrix) } else { iterate(&mut matrix) }
}

/// X ← (a + b A + c A²) X with A = X Xᵀ, in every round.
fn iterate(matrix: &mut Matrix) {
    let [short, _] = matrix.sides();
    let [mut gram, mut square] = [vec![0.0; short * short], vec![0.0; short * short]];
    let [a, b, c] = QUINTIC;
    for _ in 0..ROUNDS {
        matrix.gram(&mut gram);
        squared(&gram, short, &mut square);
        for (gram, square) in gram.iter_mut().zip(&square) {
            *gram = b * *gram + c * square;
        }
        matrix.multiply_short_side(&gram);
        for (value, turned) in matrix.values.iter_mut().zip(&matrix.turned) {
            *value = a * *value + turned;
        }
    }
}

/// The same with two products as long as the matrix instead of two in every round: with the symmetric P = a + b A + c A²,
/// which commutes with A, A ← P² A and Q ← P Q, and X ← Q X at last.
fn iterate_on_gram(matrix: &mut Matrix) {
    let [short, _] = matrix.sides();
    let square_of_short = || vec![0.0; short * short];
    let [mut gram, mut factor, mut turned] =
        [square_of_short(), square_of_short(), square_of_short()];
    let mut whole: Option<Vec<f32>> = None;
    matrix.gram(&mut gram);
    let [a, b, c] = QUINTIC;
    for round in 1..=ROUNDS {
        squared(&gram, short, &mut factor);
        for (factor, gram) in factor.iter_mut().zip(&gram) {
            *factor = b * gram + c * *factor;
        }
        factor.iter_mut().step_by(short + 1).for_each(|diagonal| *diagonal += a);
        let mut times_factor = |values: &mut Vec<f32>| {
            let [left, right] = [&factor, &*values].map(|of| View::rows(of, short));
            multiply_shared([short; 3], left, right, &mut turned);
            std::mem::swap(values, &mut turned);
        };
        if round < ROUNDS {
            times_factor(&mut gram);
            times_factor(&mut gram);
        }
        match &mut whole {
            Some(whole) => times_factor(whole),
            None => whole = Some(factor.clone()),
        }
    }
    matrix.multiply_short_side(&whole.unwrap_or_default());
    matrix.values.copy_from_slice(&matrix.turned);
}

fn squared(gram: &[f32], short: usize, out: &mut [f32]) {
    let view = View::rows(gram, short);
    multiply_shared([short; 3], view, view, out);
}

/// A row-major matrix, and room for as many values.
struct Matrix<'a> {
    values: &'a mut [f32],
    turned: Vec<f32>,
    rows: usize,
    columns: usize,
}

impl<'a> Matrix<'a> {
    fn new(values: &'a mut [f32], columns: usize) -> Self {
        Self { turned: vec![0.0; values.len()], rows: values.len() / columns, values, columns }
    }

    /// Its extents, the shorter one first.
    fn sides(&self) -> [usize; 2] {
        [self.rows.min(self.columns), self.rows.max(self.columns)]
    }

    /// Scalar products of all rows or columns, whichever are fewer.
    fn gram(&self, out: &mut [f32]) {
        let Self { values, rows, columns, .. } = self;
        let [own, transposed] = [View::rows(values, *columns), View::transposed(values, *columns)];
        let [left, right] = if rows <= columns { [own, transposed] } else { [transposed, own] };
        let [short, long] = self.sides();
        multiply_shared([short, short, long], left, right, out);
    }

    /// The product with a symmetric matrix on the short side, into the room.
    fn multiply_short_side(&mut self, symmetric: &[f32]) {
        let [short, _] = self.sides();
        let Self { values, turned, rows, columns } = self;
        let [symmetric, own] = [View::rows(symmetric, short), View::rows(values, *columns)];
        let [left, right] = if rows <= columns { [symmetric, own] } else { [own, symmetric] };
        multiply_shared([*rows, *columns, short], left, right, turned);
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::{super::gemm::multiply, *};

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

    #[test]
    fn long_matrices_are_orthogonalised_in_blocks_and_subnormal_rows_count_as_nothing() {
        let (rows, columns, dead) = (BLOCK + 2, 2 * BLOCK, 5);
        let mut random = ChaCha8Rng::seed_from_u64(4);
        let mut matrix: Vec<f32> =
            (0..rows * columns).map(|_| random.random_range(-1.0..1.0)).collect();
        matrix[dead * columns..][..columns].fill(1e-43);
        orthogonalise(&mut matrix, columns);
        for (row, values) in matrix.chunks(columns).enumerate() {
            let expected = f32::from(u8::from(row != dead));
            assert_abs_diff_eq!(dot(values, values), expected, epsilon = 0.5);
            assert!(row != dead || values.iter().all(|&value| value == 0.0));
        }
    }

    #[test]
    fn both_iterations_agree() {
        for (rows, columns) in [(7, 40), (40, 7), (1, 3)] {
            let mut random = ChaCha8Rng::seed_from_u64(3);
            let values: Vec<f32> =
                (0..rows * columns).map(|_| random.random_range(-0.05..0.05)).collect();
            let iterated = |how: fn(&mut Matrix)| {
                let mut values = values.clone();
                how(&mut Matrix::new(&mut values, columns));
                values
            };
            for (one, other) in iterated(iterate).iter().zip(iterated(iterate_on_gram)) {
                assert_abs_diff_eq!(*one, other, epsilon = 1e-4);
            }
        }
    }
}
