//! Linear resampling of images: the mean over the covered area when shrinking, bilinear when
//! growing.

/// Resampling of one axis: each output is a weighted sum of `taps` neighbouring inputs.
struct Axis {
    taps: usize,
    starts: Vec<usize>,
    weights: Vec<f32>,
}

impl Axis {
    fn new(from: usize, to: usize) -> Self {
        let scale = from as f64 / to as f64;
        // First input and weights of every output.
        let windows: Vec<(usize, Vec<f64>)> = (0..to)
            .map(|output| {
                if to < from {
                    let (low, high) = (output as f64 * scale, (output + 1) as f64 * scale);
                    let start = low as usize;
                    let end = (high.ceil() as usize).min(from);
                    let covered =
                        |input: usize| high.min((input + 1) as f64) - low.max(input as f64);
                    (start, (start..end).map(|input| covered(input) / scale).collect())
                } else {
                    let centre =
                        ((output as f64 + 0.5) * scale - 0.5).clamp(0.0, (from - 1) as f64);
                    let share = centre.fract();
                    (centre as usize, vec![1.0 - share, share])
                }
            })
            .collect();
        let longest = windows.iter().map(|(_, weights)| weights.len()).max().unwrap_or(1);
        let taps = longest.min(from);
        let mut starts = Vec::with_capacity(to);
        let mut weights = vec![0.0; to * taps];
        for ((start, window), row) in windows.into_iter().zip(weights.chunks_exact_mut(taps)) {
            let shifted = start.min(from - taps);
            for (slot, weight) in row[start - shifted..].iter_mut().zip(window) {
                *slot = weight as f32;
            }
            starts.push(shifted);
        }
        Self { taps, starts, weights }
    }

    /// First input and weights of every output.
    fn windows(&self) -> impl Iterator<Item = (usize, &[f32])> {
        self.starts.iter().copied().zip(self.weights.chunks_exact(self.taps))
    }
}

/// Resampling of planes of one size to another.
pub struct Resize {
    from: [usize; 2],
    to: [usize; 2],
    rows: Axis,
    columns: Axis,
}

impl Resize {
    /// From and to height and width, none of them zero.
    pub fn new(from: [usize; 2], to: [usize; 2]) -> Self {
        let [rows, columns] = std::array::from_fn(|axis| Axis::new(from[axis], to[axis]));
        Self { from, to, rows, columns }
    }

    /// Resamples a plane into `out`. `scratch` is working space, of any size and content.
    pub fn apply(&self, plane: &[u8], scratch: &mut Vec<f32>, out: &mut [f32]) {
        let width = self.from[1];
        if self.from == self.to {
            out.iter_mut().zip(plane).for_each(|(out, &value)| *out = f32::from(value));
            return;
        }
        scratch.resize(width, 0.0);
        for ((start, weights), out) in self.rows.windows().zip(out.chunks_exact_mut(self.to[1])) {
            scratch.fill(0.0);
            for (row, weight) in plane[start * width..].chunks_exact(width).zip(weights) {
                for (sum, &value) in scratch.iter_mut().zip(row) {
                    *sum += weight * f32::from(value);
                }
            }
            for ((start, weights), out) in self.columns.windows().zip(out) {
                let inputs = &scratch[start..start + weights.len()];
                *out = inputs.iter().zip(weights).map(|(input, weight)| input * weight).sum();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;

    fn resize(plane: &[u8], from: [usize; 2], to: [usize; 2]) -> Vec<f32> {
        let mut out = vec![f32::NAN; to[0] * to[1]];
        Resize::new(from, to).apply(plane, &mut vec![f32::NAN; 3], &mut out);
        out
    }

    fn assert_close(actual: &[f32], expected: &[f32]) {
        assert_eq!(actual.len(), expected.len());
        for (actual, expected) in actual.iter().zip(expected) {
            assert_relative_eq!(actual, expected, max_relative = 1e-6);
        }
    }

    #[test]
    fn halving_takes_means_of_four() {
        let plane = [0, 2, 10, 20, 4, 6, 30, 40, 1, 1, 0, 0, 1, 1, 0, 4];
        assert_close(&resize(&plane, [4, 4], [2, 2]), &[3.0, 25.0, 1.0, 1.0]);
    }

    #[test]
    fn shrinking_weighs_by_covered_area() {
        assert_close(&resize(&[0, 30, 90], [1, 3], [1, 2]), &[10.0, 70.0]);
        assert_close(&resize(&[0, 30, 90], [3, 1], [2, 1]), &[10.0, 70.0]);
    }

    #[test]
    fn growing_is_bilinear_with_half_pixel_centres() {
        assert_close(&resize(&[0, 100], [1, 2], [1, 4]), &[0.0, 25.0, 75.0, 100.0]);
        assert_close(&resize(&[7], [1, 1], [2, 2]), &[7.0; 4]);
    }

    #[test]
    fn constant_planes_stay_constant() {
        for to in [1, 3, 7, 10, 28, 32, 45] {
            let out = resize(&[200; 28 * 28], [28, 28], [to, to]);
            assert_close(&out, &vec![200.0; to * to]);
        }
    }
}
