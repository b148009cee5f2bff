//! Labelled images in memory.

use sha2::{Digest, Sha256};

use crate::onnx::leading;

use super::DataError;

/// Shares of red, green and blue in luma (ITU-R BT.601).
pub const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

/// Labelled images of one size, in a fixed random order: any prefix is a fair sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// Class names, in label order.
    pub classes: Vec<String>,
    /// Channels of an image: 1 (grey) or 3 (RGB).
    pub channels: usize,
    /// Rows of an image.
    pub height: usize,
    /// Columns of an image.
    pub width: usize,
    /// Images one after another, each channel by channel, row by row.
    pub pixels: Vec<u8>,
    /// Class of each image.
    pub labels: Vec<u16>,
    /// SHA-256 of all of the above, as lower-case hexadecimal digits.
    pub hash: String,
    /// What a user must know about how the images were read: which files were left out, how sizes
    /// and splits came about.
    pub notices: Vec<String>,
}

/// Mean and standard deviation of each channel, for pixels scaled to 0–1.
#[derive(Clone, Debug, PartialEq)]
pub struct Normalisation {
    /// Means.
    pub mean: Vec<f32>,
    /// Standard deviations; 1 for a channel that is constant.
    pub std: Vec<f32>,
}

impl Dataset {
    /// Puts a dataset together and hashes it. `pixels` holds one image of `shape` (channels,
    /// height, width) per label.
    pub(crate) fn new(
        classes: Vec<String>,
        shape: [usize; 3],
        pixels: Vec<u8>,
        labels: Vec<u16>,
    ) -> Self {
        let [channels, height, width] = shape;
        let (hash, notices) = Default::default();
        let mut dataset = Self { classes, channels, height, width, pixels, labels, hash, notices };
        dataset.hash = dataset.content_hash();
        dataset
    }

    fn content_hash(&self) -> String {
        let mut hasher = Sha256::new();
        let mut number = |value: usize| hasher.update((value as u64).to_le_bytes());
        [self.channels, self.height, self.width, self.len(), self.classes.len()]
            .into_iter()
            .for_each(&mut number);
        for class in &self.classes {
            hasher.update((class.len() as u64).to_le_bytes());
            hasher.update(class);
        }
        for label in &self.labels {
            hasher.update(label.to_le_bytes());
        }
        hasher.update(&self.pixels);
        format!("{:x}", hasher.finalize())
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Values of one image.
    pub fn image_len(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// Hash of one image, without its label: the first eight bytes of the SHA-256 of its shape and
    /// values.
    pub fn image_hash(&self, index: usize) -> u64 {
        let mut hasher = Sha256::new();
        for extent in [self.channels, self.height, self.width] {
            hasher.update((extent as u64).to_le_bytes());
        }
        let length = self.image_len();
        hasher.update(&self.pixels[index * length..(index + 1) * length]);
        leading(&hasher.finalize())
    }

    /// The images whose position is wanted, in their order.
    pub fn filtered(self, wanted: impl Fn(&Self, usize) -> bool) -> Self {
        let kept: Vec<usize> = (0..self.len()).filter(|&index| wanted(&self, index)).collect();
        if kept.len() == self.len() {
            return self;
        }
        let length = self.image_len();
        let pixels = kept
            .iter()
            .flat_map(|index| &self.pixels[index * length..(index + 1) * length])
            .copied()
            .collect();
        let labels = kept.iter().map(|&index| self.labels[index]).collect();
        let shape = [self.channels, self.height, self.width];
        Self { notices: self.notices, ..Self::new(self.classes, shape, pixels, labels) }
    }

    /// Mean and standard deviation of the channels, computed exactly.
    pub fn normalisation(&self) -> Normalisation {
        let plane = self.height * self.width;
        let mut sums = vec![[0_u64; 2]; self.channels];
        for (index, values) in self.pixels.chunks_exact(plane.max(1)).enumerate() {
            let [sum, squares] = &mut sums[index % self.channels];
            for &value in values {
                *sum += u64::from(value);
                *squares += u64::from(value) * u64::from(value);
            }
        }
        let count = (self.len() * plane).max(1) as f64;
        let (mean, std) = sums
            .into_iter()
            .map(|[sum, squares]| {
                let mean = sum as f64 / count;
                let variance = (squares as f64 / count - mean * mean).max(0.0);
                let std = if variance > 0.0 { variance.sqrt() / 255.0 } else { 1.0 };
                ((mean / 255.0) as f32, std as f32)
            })
            .unzip();
        Normalisation { mean, std }
    }

    /// The same images with another number of channels: grey is repeated into RGB; RGB becomes
    /// [luma](LUMA) in grey.
    pub fn with_channels(self, channels: usize) -> Result<Self, DataError> {
        let plane = self.height * self.width;
        let pixels = match (self.channels, channels) {
            (from, to) if from == to => return Ok(self),
            (1, 3) => self.pixels.chunks_exact(plane).flat_map(|grey| grey.repeat(3)).collect(),
            (3, 1) => self
                .pixels
                .chunks_exact(3 * plane)
                .flat_map(|image| {
                    let (red, rest) = image.split_at(plane);
                    let (green, blue) = rest.split_at(plane);
                    red.iter().zip(green).zip(blue).map(|((&red, &green), &blue)| {
                        let luma =
                            299 * u32::from(red) + 587 * u32::from(green) + 114 * u32::from(blue);
                        ((luma + 500) / 1000) as u8
                    })
                })
                .collect(),
            (from, to) => {
                return Err(DataError::channels(from, to));
            }
        };
        let shape = [channels, self.height, self.width];
        let notices = self.notices;
        Ok(Self { notices, ..Self::new(self.classes, shape, pixels, self.labels) })
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;

    fn tiny(channels: usize, pixels: Vec<u8>) -> Dataset {
        let labels = vec![0; pixels.len() / channels];
        Dataset::new(vec!["one".into()], [channels, 1, 1], pixels, labels)
    }

    #[test]
    fn normalisation_is_exact() {
        let Normalisation { mean, std } = tiny(2, vec![0, 7, 255, 7]).normalisation();
        assert_relative_eq!(mean[0], 0.5);
        assert_relative_eq!(std[0], 0.5);
        assert_relative_eq!(mean[1], 7.0 / 255.0);
        assert_relative_eq!(std[1], 1.0);
    }

    #[test]
    fn channels_convert() {
        let colour = tiny(1, vec![10, 200]).with_channels(3).unwrap();
        assert_eq!(colour.pixels, [10, 10, 10, 200, 200, 200]);
        assert_eq!(colour.with_channels(1).unwrap().pixels, [10, 200]);
        assert_eq!(tiny(3, vec![255, 0, 0]).with_channels(1).unwrap().pixels, [76]);
        assert!(tiny(3, vec![255, 0, 0]).with_channels(2).is_err());
    }

    #[test]
    fn images_are_told_apart_by_their_values_and_filtered() {
        let data = tiny(1, vec![3, 4, 3]);
        assert_eq!(data.image_hash(0), data.image_hash(2));
        assert_ne!(data.image_hash(0), data.image_hash(1));
        let known = data.image_hash(1);
        let rest = data.clone().filtered(|data, index| data.image_hash(index) != known);
        assert_eq!((rest.pixels.as_slice(), rest.len()), ([3, 3].as_slice(), 2));
        assert_eq!(data.clone().filtered(|_, _| true), data);
    }

    #[test]
    fn the_hash_covers_everything() {
        let base = tiny(1, vec![1, 2]);
        let mut other = base.clone();
        other.labels[1] = 1;
        assert_ne!(base.hash, other.content_hash());
        other = base.clone();
        other.pixels[0] = 9;
        assert_ne!(base.hash, other.content_hash());
        other = base.clone();
        other.classes[0].push('!');
        assert_ne!(base.hash, other.content_hash());
    }
}
