//! Turning, stretching and shifting images.

use std::f32::consts::TAU;

use rand::Rng;

/// Largest factor by which a side is stretched or shrunk.
const STRETCH: f32 = 1.2;
/// Largest turn, in radians.
const TURN: f32 = TAU / 20.0;
/// Largest shift, as a share of the side.
const SHIFT: f32 = 0.125;

/// Where the pixels of an output lie in an image: at `matrix · (row, column) + offset`.
#[derive(Clone, Copy, Debug)]
pub(super) struct AffineMap {
    matrix: [[f32; 2]; 2],
    offset: [f32; 2],
}

impl AffineMap {
    /// A random one for images of a height and a width.
    pub fn draw(size: [usize; 2], random: &mut impl Rng) -> Self {
        let (sin, cos) = random.random_range(-TURN..=TURN).sin_cos();
        let mut stretch = || STRETCH.powf(random.random_range(-1.0..=1.0));
        let [tall, wide] = [stretch(), stretch()];
        let matrix = [[tall * cos, -tall * sin], [wide * sin, wide * cos]];
        let [height, width] = size.map(|side| side as f32);
        let middle = [(height - 1.0) / 2.0, (width - 1.0) / 2.0];
        let shifts = [height, width].map(|side| side * random.random_range(-SHIFT..=SHIFT));
        let offset = [0, 1].map(|axis: usize| {
            let turned = matrix[axis][0] * middle[0] + matrix[axis][1] * middle[1];
            middle[axis] + shifts[axis] - turned
        });
        Self { matrix, offset }
    }

    /// The image at the places of the output, linear between pixels, zero outside. `padded` is working space.
    pub fn apply(
        &self,
        image: &[f32],
        [height, width]: [usize; 2],
        padded: &mut Vec<f32>,
        out: &mut [f32],
    ) {
        // One row and column of zeros in front, two behind: no place that is clamped to them needs others.
        let stride = width + 3;
        padded.clear();
        padded.resize((height + 3) * stride, 0.0);
        for (row, values) in image.chunks_exact(width).enumerate() {
            padded[(row + 1) * stride + 1..][..width].copy_from_slice(values);
        }
        let [down, right] = [0, 1].map(|axis: usize| self.matrix[axis]);
        let last = [height as f32 + 1.0, width as f32 + 1.0];
        for (row, out) in out.chunks_exact_mut(width).enumerate() {
            let start = [
                down[0] * row as f32 + self.offset[0] + 1.0,
                right[0] * row as f32 + self.offset[1] + 1.0,
            ];
            for (column, out) in out.iter_mut().enumerate() {
                let y = (start[0] + down[1] * column as f32).clamp(0.0, last[0]);
                let x = (start[1] + right[1] * column as f32).clamp(0.0, last[1]);
                let corner = y as usize * stride + x as usize;
                let (y, x) = (y.fract(), x.fract());
                let upper = (1.0 - x) * padded[corner] + x * padded[corner + 1];
                let (corner, below) = (corner + stride, 1.0 - y);
                let lower = (1.0 - x) * padded[corner] + x * padded[corner + 1];
                *out = below * upper + y * lower;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_abs_diff_eq;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn apply(map: AffineMap, image: &[f32], size: [usize; 2]) -> Vec<f32> {
        let mut out = vec![f32::NAN; image.len()];
        map.apply(image, size, &mut vec![1.0; 7], &mut out);
        out
    }

    #[test]
    fn shifts_move_whole_pixels_and_zeros_come_in() {
        let image = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let matrix = [[1.0, 0.0], [0.0, 1.0]];
        let shifted = |offset| apply(AffineMap { matrix, offset }, &image, [2, 3]);
        assert_eq!(shifted([0.0, 0.0]), image);
        assert_eq!(shifted([1.0, -1.0]), [0.0, 4.0, 5.0, 0.0, 0.0, 0.0]);
        assert_eq!(shifted([0.0, 0.5]), [1.5, 2.5, 1.5, 4.5, 5.5, 3.0]);
        assert_eq!(shifted([9.0, -9.0]), [0.0; 6]);
    }

    #[test]
    fn a_quarter_turn_transposes() {
        let image = [1.0, 2.0, 3.0, 4.0];
        let map = AffineMap { matrix: [[0.0, 1.0], [-1.0, 0.0]], offset: [0.0, 1.0] };
        assert_eq!(apply(map, &image, [2, 2]), [2.0, 4.0, 1.0, 3.0]);
    }

    #[test]
    fn random_maps_keep_the_middle_within_an_eighth() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..200 {
            let AffineMap { matrix, offset } = AffineMap::draw([33, 17], &mut random);
            for (axis, (middle, side)) in [(16.0, 33.0), (8.0, 17.0)].into_iter().enumerate() {
                let at = matrix[axis][0] * 16.0 + matrix[axis][1] * 8.0 + offset[axis];
                assert!((at - middle as f32).abs() <= SHIFT * side + 1e-4);
            }
            let [[a, b], [c, d]] = matrix;
            let area: f32 = a * d - b * c;
            assert!((1.0 / 1.45..=1.45).contains(&area));
        }
    }

    #[test]
    fn places_far_outside_are_zero() {
        let map = AffineMap { matrix: [[1e9, 0.0], [0.0, -1e9]], offset: [1.0, 1.0] };
        let out = apply(map, &[1.0; 9], [3, 3]);
        assert_abs_diff_eq!(out[8], 0.0);
    }
}
