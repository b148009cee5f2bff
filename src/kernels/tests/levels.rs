//! The portable path against the faster ones.

use super::{
    super::{
        elementwise::{accumulate_scaled, dot, sum},
        gemm::{View, multiply},
        orthogonalise,
        simd::at_every_level,
    },
    assert_close, random, wide,
};

/// Every level must give what the portable path gives.
fn assert_levels_agree(what: &str, run: impl Fn() -> Vec<f32>) {
    let mut portable = None;
    at_every_level(|_| {
        let result = run();
        let portable = portable.get_or_insert_with(|| wide(&result));
        assert_close(&result, portable, what);
    });
}

#[test]
fn matrix_products_of_any_extent_and_layout() {
    for [m, n, k] in [[1, 1, 1], [3, 17, 5], [16, 16, 64], [33, 7, 70], [2, 40, 1]] {
        let (left, right) = (random(1, m * k), random(2, k * n));
        let lefts = [View::rows(&left, k), View::transposed(&left, m)];
        let rights = [View::rows(&right, n), View::transposed(&right, k)];
        for (index, (a, b)) in lefts.iter().flat_map(|a| rights.map(|b| (a, b))).enumerate() {
            for accumulate in [false, true] {
                let what = format!("{m} x {n} x {k}, layout {index}, accumulate {accumulate}");
                assert_levels_agree(&what, || {
                    let mut out = random(3, m * (n + 2));
                    multiply([m, n, k], *a, b, &mut out, n + 2, accumulate);
                    out
                });
            }
        }
    }
}

#[test]
fn sums_of_any_length() {
    for length in [0, 1, 15, 16, 63, 64, 65, 200] {
        let (x, y) = (random(4, length), random(5, length));
        assert_levels_agree(&format!("length {length}"), || {
            let mut out = y.clone();
            accumulate_scaled(0.7, &x, &mut out);
            out.extend([sum(&x), dot(&x, &y)]);
            out
        });
    }
}

#[test]
fn orthogonal_matrices() {
    for (rows, columns) in [(9, 20), (20, 9)] {
        assert_levels_agree(&format!("{rows} x {columns}"), || {
            let mut matrix = random(6, rows * columns);
            orthogonalise(&mut matrix, columns);
            matrix
        });
    }
}
