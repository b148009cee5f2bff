//! The little linear algebra that scores need, on dense symmetric matrices in double precision.

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

    /// Eigenvalues in ascending order: Householder's tridiagonal form, then implicit QL. Those that
    /// do not converge in 60 sweeps, which finite matrices do, are as they then are.
    pub fn eigenvalues(mut self) -> Vec<f64> {
        let (mut diagonal, mut beside) = self.tridiagonal();
        ql(&mut diagonal, &mut beside);
        diagonal.sort_by(f64::total_cmp);
        diagonal
    }

    /// Logarithm of the determinant's absolute value; −∞ for a singular matrix.
    pub fn log_determinant(self) -> f64 {
        self.eigenvalues().iter().map(|value| value.abs().ln()).sum()
    }

    fn tridiagonal(&mut self) -> (Vec<f64>, Vec<f64>) {
        let n = self.size;
        let a = &mut self.values;
        let mut beside = vec![0.0; n];
        for k in 0..n.saturating_sub(2) {
            // Reflects column k below its subdiagonal onto the subdiagonal.
            let norm = (k + 1..n).map(|i| a[i * n + k].powi(2)).sum::<f64>().sqrt();
            let head = a[(k + 1) * n + k];
            let alpha = if head > 0.0 { -norm } else { norm };
            let square = norm * norm - head * alpha;
            beside[k + 1] = alpha;
            if square <= f64::MIN_POSITIVE {
                beside[k + 1] = head;
                continue;
            }
            let mut v: Vec<f64> = (0..n).map(|i| if i > k { a[i * n + k] } else { 0.0 }).collect();
            v[k + 1] -= alpha;
            let mut p: Vec<f64> = (0..n)
                .map(|i| {
                    if i > k {
                        dot(&a[i * n + k + 1..(i + 1) * n], &v[k + 1..]) / square
                    } else {
                        0.0
                    }
                })
                .collect();
            let half = dot(&v, &p) / (2.0 * square);
            p.iter_mut().zip(&v).for_each(|(p, v)| *p -= half * v);
            for i in k + 1..n {
                for j in k + 1..n {
                    a[i * n + j] -= v[i] * p[j] + p[i] * v[j];
                }
            }
        }
        if n > 1 {
            beside[n - 1] = a[(n - 1) * n + n - 2];
        }
        ((0..n).map(|i| a[i * n + i]).collect(), beside)
    }
}

/// Eigenvalues of a tridiagonal matrix; `e[i]` stands between `d[i − 1]` and `d[i]`.
fn ql(d: &mut [f64], e: &mut [f64]) {
    let n = d.len();
    e.rotate_left(1.min(n));
    if let Some(last) = e.last_mut() {
        *last = 0.0;
    }
    for l in 0..n {
        for _ in 0..60 {
            let small = |m: usize| e[m].abs() <= f64::EPSILON * (d[m].abs() + d[m + 1].abs());
            let m = (l..n - 1).find(|&m| small(m)).unwrap_or(n - 1);
            if m == l {
                break;
            }
            let g = (d[l + 1] - d[l]) / (2.0 * e[l]);
            let r = g.hypot(1.0);
            let mut g = d[m] - d[l] + e[l] / (g + r.copysign(g));
            let (mut s, mut c, mut p) = (1.0, 1.0, 0.0);
            let mut whole = true;
            for i in (l..m).rev() {
                let (f, b) = (s * e[i], c * e[i]);
                let r = f.hypot(g);
                e[i + 1] = r;
                if r == 0.0 {
                    d[i + 1] -= p;
                    e[m] = 0.0;
                    whole = false;
                    break;
                }
                (s, c) = (f / r, g / r);
                g = d[i + 1] - p;
                let r = (d[i] - g) * s + 2.0 * c * b;
                p = s * r;
                d[i + 1] = g + p;
                g = c * r - b;
            }
            if whole {
                d[l] -= p;
                e[l] = g;
                e[m] = 0.0;
            }
        }
    }
}

/// In eight sums, which the compiler keeps in vectors.
fn dot(a: &[f64], b: &[f64]) -> f64 {
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
