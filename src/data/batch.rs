//! From raw pixels to the float batches that networks read.

use std::ops::Range;

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::{DataError, Dataset, affine_map::AffineMap, resize::Resize};

/// Random changes of training images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Augmentation {
    /// None.
    #[default]
    None,
    /// Mirrors every other image left to right.
    Mirror,
    /// Shifts by up to an eighth of the side (4 pixels of 32), black moving in: for images whose
    /// mirror image means something else, such as digits.
    Shift,
    /// Shifts, and mirrors every other image left to right: the usual one for photographs.
    Standard,
    /// Shifts, turns by up to a twentieth of a circle and stretches both sides by up to a fifth, black
    /// moving in: for few images.
    Affine,
}

/// Where a pixel of the output comes from.
#[derive(Clone, Copy, Default)]
struct Move {
    mirror: bool,
    down: i32,
    right: i32,
    /// Comes first.
    map: Option<AffineMap>,
}

/// Makes batches of images of one size, channel by channel, normalised as `(pixel / 255 - mean) / std`.
pub struct Batcher<'a> {
    dataset: &'a Dataset,
    /// Factor and summand of each channel, for pixels of 0–255.
    affine: Vec<[f32; 2]>,
    /// Height and width.
    size: [usize; 2],
    resize: Resize,
    augmentation: Augmentation,
}

impl<'a> Batcher<'a> {
    /// Images of `size` × `size` pixels; see [`Batcher::of_size`].
    pub fn new(
        dataset: &'a Dataset,
        mean: &[f32],
        std: &[f32],
        size: usize,
        augmentation: Augmentation,
    ) -> Result<Self, DataError> {
        Self::of_size(dataset, mean, std, [size; 2], augmentation)
    }

    /// Images of a height and a width. `mean` and `std` have a value for each channel of the dataset;
    /// where a network wants other channels, see [`Dataset::with_channels`].
    pub fn of_size(
        dataset: &'a Dataset,
        mean: &[f32],
        std: &[f32],
        size: [usize; 2],
        augmentation: Augmentation,
    ) -> Result<Self, DataError> {
        let channels = dataset.channels;
        if mean.len() != channels || std.len() != channels {
            return Err(DataError::Mismatch(format!(
                "they have {channels} channel(s), mean and std are for {} and {}; convert them \
                 first",
                mean.len(),
                std.len()
            )));
        }
        if !std.iter().all(|&std| std.is_finite() && std > 0.0) {
            return Err(DataError::Mismatch("std must be positive".to_owned()));
        }
        if dataset.is_empty() || dataset.image_len() == 0 || size.contains(&0) {
            return Err(DataError::Mismatch("there are no images, or none of any size".to_owned()));
        }
        let affine = mean.iter().zip(std).map(|(mean, std)| [1.0 / (255.0 * std), -mean / std]);
        Ok(Self {
            dataset,
            affine: affine.collect(),
            size,
            resize: Resize::new([dataset.height, dataset.width], size),
            augmentation,
        })
    }

    /// Values of one image of a batch.
    pub fn image_len(&self) -> usize {
        self.affine.len() * self.plane()
    }

    /// Pixels of an image.
    fn plane(&self) -> usize {
        self.size.iter().product()
    }

    /// `count` images drawn at random with replacement, augmented, and their labels.
    pub fn batch(&self, count: usize, random: &mut impl Rng) -> (Vec<f32>, Vec<u16>) {
        let indices: Vec<usize> =
            (0..count).map(|_| random.random_range(0..self.dataset.len())).collect();
        self.pick(&indices, random)
    }

    /// The images at some places, augmented, and their labels.
    ///
    /// # Panics
    ///
    /// There is no such place.
    pub fn pick(&self, indices: &[usize], random: &mut impl Rng) -> (Vec<f32>, Vec<u16>) {
        let [down, right] = self.size.map(|side| i32::try_from(side / 8).unwrap_or(i32::MAX));
        self.gather(indices, || match self.augmentation {
            Augmentation::None => Move::default(),
            Augmentation::Mirror => Move { mirror: random.random(), ..Move::default() },
            Augmentation::Affine => {
                Move { map: Some(AffineMap::draw(self.size, random)), ..Move::default() }
            }
            augmentation => Move {
                map: None,
                down: random.random_range(-down..=down),
                right: random.random_range(-right..=right),
                mirror: augmentation == Augmentation::Standard && random.random(),
            },
        })
    }

    /// The images of a range of the dataset, cut off at its end, never augmented.
    pub fn range(&self, range: Range<usize>) -> (Vec<f32>, Vec<u16>) {
        let end = range.end.min(self.dataset.len());
        let indices: Vec<usize> = (range.start..end).collect();
        self.gather(&indices, Move::default)
    }

    fn gather(&self, indices: &[usize], mut draw: impl FnMut() -> Move) -> (Vec<f32>, Vec<u16>) {
        let mut images = vec![0.0; indices.len() * self.image_len()];
        let plane = self.plane();
        let (mut resized, mut scratch) = (vec![0.0; plane], Vec::new());
        let (mut mapped, mut padded) = (vec![0.0; plane], Vec::new());
        for (&index, out) in indices.iter().zip(images.chunks_exact_mut(self.image_len())) {
            let change = draw();
            let length = self.dataset.image_len();
            let image = &self.dataset.pixels[index * length..(index + 1) * length];
            let source = image.chunks_exact(length / self.affine.len());
            for ((source, out), affine) in source.zip(out.chunks_exact_mut(plane)).zip(&self.affine)
            {
                self.resize.apply(source, &mut scratch, &mut resized);
                let values = match change.map {
                    Some(map) => {
                        map.apply(&resized, self.size, &mut padded, &mut mapped);
                        &mapped
                    }
                    None => &resized,
                };
                self.place(values, change, *affine, out);
            }
        }
        (images, indices.iter().map(|&index| self.dataset.labels[index]).collect())
    }

    /// Normalises a plane into `out`, moved.
    fn place(&self, plane: &[f32], change: Move, [factor, summand]: [f32; 2], out: &mut [f32]) {
        let [height, width] = self.size;
        // The columns of the output that the image still covers, and where they start in it.
        let left = change.right.max(0) as usize;
        let skipped = (-change.right).max(0) as usize;
        let covered = width - left - skipped;
        for (row, out) in out.chunks_exact_mut(width).enumerate() {
            let from = row.checked_add_signed(-change.down as isize).filter(|&from| from < height);
            let Some(from) = from else {
                out.fill(summand);
                continue;
            };
            let values = &plane[from * width..(from + 1) * width];
            let (before, rest) = out.split_at_mut(left);
            let (covered_out, after) = rest.split_at_mut(covered);
            before.fill(summand);
            after.fill(summand);
            let pairs = covered_out.iter_mut();
            if change.mirror {
                let values = values.iter().rev().skip(skipped);
                pairs.zip(values).for_each(|(out, value)| *out = value * factor + summand);
            } else {
                let values = &values[skipped..];
                pairs.zip(values).for_each(|(out, value)| *out = value * factor + summand);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn dataset(count: usize, channels: usize, side: usize) -> Dataset {
        let length = count * channels * side * side;
        let pixels = (0..length).map(|index| (index * 7 % 251) as u8).collect();
        let labels = (0..count).map(|index| index as u16).collect();
        Dataset::new(vec!["only".into()], [channels, side, side], pixels, labels)
    }

    fn batcher(dataset: &Dataset, size: usize, augmentation: Augmentation) -> Batcher<'_> {
        let ones = vec![1.0; dataset.channels];
        Batcher::new(dataset, &vec![0.0; dataset.channels], &ones, size, augmentation).unwrap()
    }

    #[test]
    fn pixels_are_normalised() {
        let dataset = dataset(2, 2, 4);
        let batcher =
            Batcher::new(&dataset, &[0.5, 0.25], &[0.5, 2.0], 4, Augmentation::None).unwrap();
        let (images, labels) = batcher.range(1..9);
        assert_eq!(labels, [1]);
        assert_eq!(images.len(), 32);
        for (index, (&value, &pixel)) in images.iter().zip(&dataset.pixels[32..]).enumerate() {
            let (mean, std) = if index < 16 { (0.5, 0.5) } else { (0.25, 2.0) };
            assert_relative_eq!(value, (f32::from(pixel) / 255.0 - mean) / std, epsilon = 1e-6);
        }
    }

    #[test]
    fn batches_depend_on_the_generator_only() {
        let dataset = dataset(9, 3, 8);
        let batcher = batcher(&dataset, 8, Augmentation::Standard);
        let draw = |seed| batcher.batch(5, &mut ChaCha8Rng::seed_from_u64(seed));
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn moves_shift_and_mirror() {
        let dataset =
            Dataset::new(vec!["only".into()], [1, 2, 3], vec![255, 51, 102, 153, 204, 0], vec![0]);
        let batcher = batcher(&dataset, 3, Augmentation::Standard);
        let plane = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
        let place = |mirror, down, right| {
            let mut out = vec![f32::NAN; 9];
            let change = Move { mirror, down, right, map: None };
            batcher.place(&plane, change, [1.0, -1.0], &mut out);
            out.into_iter().map(|value| value as i32 + 1).collect::<Vec<_>>()
        };
        assert_eq!(place(false, 0, 0), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(place(true, 0, 0), [3, 2, 1, 6, 5, 4, 9, 8, 7]);
        assert_eq!(place(false, 1, 0), [0, 0, 0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(place(false, -1, 1), [0, 4, 5, 0, 7, 8, 0, 0, 0]);
        assert_eq!(place(true, 0, -1), [2, 1, 0, 5, 4, 0, 8, 7, 0]);
    }

    #[test]
    fn augmentations_reach_an_eighth() {
        let white = Dataset::new(vec!["only".into()], [1, 16, 16], vec![255; 256], vec![0]);
        let batcher = batcher(&white, 16, Augmentation::Shift);
        let (images, _) = batcher.batch(200, &mut ChaCha8Rng::seed_from_u64(0));
        let fewest = images.chunks(256).map(|image| image.iter().sum::<f32>() as usize).min();
        assert_eq!(fewest, Some(14 * 14));
    }

    #[test]
    fn images_need_not_be_square() {
        let dataset = dataset(2, 3, 4);
        let new = |size| {
            Batcher::of_size(&dataset, &[0.0; 3], &[1.0; 3], size, Augmentation::Standard).unwrap()
        };
        let (images, _) = new([8, 4]).range(0..2);
        assert_eq!(images.len(), 2 * 3 * 8 * 4);
        // Rows are doubled: each of the four is there between its two copies.
        assert_relative_eq!(images[0], f32::from(dataset.pixels[0]) / 255.0, epsilon = 1e-6);
        assert_relative_eq!(images[3], f32::from(dataset.pixels[3]) / 255.0, epsilon = 1e-6);
        let (drawn, labels) = new([16, 40]).batch(20, &mut ChaCha8Rng::seed_from_u64(1));
        assert_eq!((drawn.len(), labels.len()), (20 * 3 * 16 * 40, 20));
        assert!(drawn.iter().all(|value| value.is_finite()));
    }

    #[test]
    fn unfit_requests_are_errors() {
        let dataset = dataset(1, 3, 4);
        let new = |mean: &[f32], std: &[f32], size| {
            Batcher::new(&dataset, mean, std, size, Augmentation::None).is_err()
        };
        assert!(new(&[0.0], &[1.0], 4));
        assert!(new(&[0.0; 3], &[1.0, 1.0, 0.0], 4));
        assert!(new(&[0.0; 3], &[1.0; 3], 0));
    }
}
