//! Matrix products on strided views.

use gemm::Parallelism;
use rayon::prelude::*;

use super::{
    bounds::inside,
    cores::shared_among,
    elementwise::accumulate_scaled,
    simd::{Level, level},
};

/// The longest stride that the `gemm` crate can be told, of a single row included.
const LONGEST: usize = isize::MAX as usize;

/// A strided matrix view into a slice.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Values.
    pub data: &'a [f32],
    /// Distance between rows.
    pub row_stride: usize,
    /// Distance between columns.
    pub column_stride: usize,
}

impl<'a> View<'a> {
    /// Row-major with the given distance between rows.
    pub fn rows(data: &'a [f32], row_stride: usize) -> Self {
        Self { data, row_stride, column_stride: 1 }
    }

    /// The transpose of a row-major matrix with the given distance between rows.
    pub fn transposed(data: &'a [f32], row_stride: usize) -> Self {
        Self { data, row_stride: 1, column_stride: row_stride }
    }

    /// Whether all elements of a matrix lie inside; it has at least one.
    fn holds(&self, rows: usize, columns: usize) -> bool {
        let Self { row_stride, column_stride, .. } = *self;
        let strides = [[rows - 1, row_stride], [columns - 1, column_stride]];
        inside(0, strides, self.data.len()) && row_stride.max(column_stride) <= LONGEST
    }
}

/// `out = a · b`, or `out += a · b` with `accumulate`. `a` is m × k, `b` k × n, `out` row-major
/// m × n with `out_stride` between rows.
///
/// # Panics
/// If a view does not hold its matrix.
pub fn multiply(
    [m, n, k]: [usize; 3],
    a: View,
    b: View,
    out: &mut [f32],
    out_stride: usize,
    accumulate: bool,
) {
    if m == 0 || n == 0 {
        return;
    }
    assert!(out_stride <= LONGEST && inside(n - 1, [[m - 1, out_stride]], out.len()));
    assert!(k == 0 || a.holds(m, k) && b.holds(k, n));
    if k == 0 || level() == Level::Portable {
        return multiply_plainly([m, n, k], a, b, out, out_stride, accumulate);
    }
    // SAFETY: the last element of every matrix was checked to lie inside its slice, strides are not
    // negative, and `out` is borrowed exclusively.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            out_stride as isize,
            accumulate,
            a.data.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            1.0f32,
            1.0f32,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// Rows that a core multiplies at a time.
const ROWS: usize = 256;

/// [`multiply`], without accumulation and between dense rows, shared among cores where that pays. The result does not
/// depend on their number.
pub fn multiply_shared([m, n, k]: [usize; 3], a: View, b: View, out: &mut [f32]) {
    let parts = out.chunks_mut((ROWS * n).max(1)).enumerate();
    let part = |(index, out): (usize, &mut [f32])| {
        let a = View { data: &a.data[index * ROWS * a.row_stride..], ..a };
        multiply([out.len() / n, n, k], a, b, out, n, false);
    };
    match shared_among(m.div_ceil(ROWS), m * n * k) {
        1 => parts.for_each(part),
        _ => parts.collect::<Vec<_>>().into_par_iter().for_each(part),
    }
}

/// [`multiply`] in plain loops.
fn multiply_plainly(
    [m, n, k]: [usize; 3],
    a: View,
    b: View,
    out: &mut [f32],
    out_stride: usize,
    accumulate: bool,
) {
    for row in 0..m {
        let out = &mut out[row * out_stride..][..n];
        if !accumulate {
            out.fill(0.0);
        }
        for step in 0..k {
            let factor = a.data[row * a.row_stride + step * a.column_stride];
            let values = &b.data[step * b.row_stride..];
            if b.column_stride == 1 {
                accumulate_scaled(factor, &values[..n], out);
            } else {
                for (column, out) in out.iter_mut().enumerate() {
                    *out += factor * values[column * b.column_stride];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::simd::at_every_level, *};
    use approx::assert_abs_diff_eq;

    #[test]
    fn multiplies_accumulates_and_transposes() {
        let a = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let b = [1.0, 0.0, 2.0, 1.0, 0.0, 3.0];
        at_every_level(|_| {
            let mut out = [1.0; 4];
            multiply([2, 2, 3], View::rows(&a, 3), View::rows(&b, 2), &mut out, 2, false);
            for (value, expected) in out.iter().zip([5.0, 11.0, 14.0, 23.0]) {
                assert_abs_diff_eq!(*value, expected, epsilon = 1e-6);
            }
            let (b, a) = (View::transposed(&b, 2), View::transposed(&a, 3));
            multiply([2, 2, 3], b, a, &mut out, 2, true);
            for (value, expected) in out.iter().zip([10.0, 25.0, 25.0, 46.0]) {
                assert_abs_diff_eq!(*value, expected, epsilon = 1e-6);
            }
        });
    }

    #[test]
    fn an_empty_depth_gives_zeros_or_changes_nothing() {
        let empty = View::rows(&[], 0);
        let mut out = [1.0; 6];
        multiply([2, 2, 0], empty, empty, &mut out, 3, true);
        assert_eq!(out, [1.0; 6]);
        multiply([2, 2, 0], empty, empty, &mut out, 3, false);
        assert_eq!(out, [0.0, 0.0, 1.0, 0.0, 0.0, 1.0]);
    }

    #[test]
    fn matrices_outside_of_their_slices_are_refused() {
        const HALF: usize = 1 << (usize::BITS - 1);
        let run = |extents: [usize; 3], a_stride: usize, b_stride: usize, out_stride: usize| {
            let (values, mut out) = ([1.0; 4], [0.0; 4]);
            let (a, b) = (View::rows(&values, a_stride), View::rows(&values, b_stride));
            multiply(extents, a, b, &mut out, out_stride, false);
        };
        run([2, 2, 2], 2, 2, 2);
        let refuses = |extents: [usize; 3], a: usize, b: usize, out: usize| {
            std::panic::catch_unwind(|| run(extents, a, b, out)).is_err()
        };
        at_every_level(|_| {
            assert!(refuses([2, 2, 2], 3, 2, 2));
            // The last of three rows would be the first in wrapping arithmetic.
            assert!(refuses([3, 1, 1], HALF, 1, 1));
            assert!(refuses([1, 1, 3], 1, HALF, 1));
            assert!(refuses([3, 1, 1], 1, 1, HALF));
            assert!(refuses([3, 1, 0], 1, 1, HALF));
            assert!(refuses([1, 1, 1], HALF, 1, 1));
        });
    }
}
