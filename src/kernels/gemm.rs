//! Single-threaded matrix products on strided views.

use gemm::Parallelism;

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

    fn last(&self, rows: usize, columns: usize) -> usize {
        (rows - 1) * self.row_stride + (columns - 1) * self.column_stride
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
    if m == 0 || n == 0 || k == 0 {
        if !accumulate {
            for row in 0..m {
                out[row * out_stride..][..n].fill(0.0);
            }
        }
        return;
    }
    assert!(a.last(m, k) < a.data.len() && b.last(k, n) < b.data.len());
    assert!((m - 1) * out_stride + n <= out.len());
    // SAFETY: the last element of every view was checked above, strides are not negative, and
    // `out` is borrowed exclusively.
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

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_abs_diff_eq;

    #[test]
    fn multiplies_accumulates_and_transposes() {
        let a = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let b = [1.0, 0.0, 2.0, 1.0, 0.0, 3.0];
        let mut out = [1.0; 4];
        multiply([2, 2, 3], View::rows(&a, 3), View::rows(&b, 2), &mut out, 2, false);
        for (value, expected) in out.iter().zip([5.0, 11.0, 14.0, 23.0]) {
            assert_abs_diff_eq!(*value, expected, epsilon = 1e-6);
        }
        multiply([2, 2, 3], View::transposed(&b, 2), View::transposed(&a, 3), &mut out, 2, true);
        for (value, expected) in out.iter().zip([10.0, 25.0, 25.0, 46.0]) {
            assert_abs_diff_eq!(*value, expected, epsilon = 1e-6);
        }
    }
}
