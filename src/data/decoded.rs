//! Raw images, whatever format they came in.

use super::Split;

/// Most bytes of raw pixels a dataset may have.
pub const MAX_PIXELS: u64 = 2 << 30;
/// Largest height or width.
pub const MAX_SIDE: usize = 1024;

/// Images of one split, in no particular order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Images {
    /// As in [`super::Dataset`].
    pub pixels: Vec<u8>,
    /// As in [`super::Dataset`].
    pub labels: Vec<u16>,
}

impl Images {
    /// The images at `order`, in that order.
    pub fn pick(&self, order: &[usize]) -> Self {
        let length = self.pixels.len() / self.labels.len().max(1);
        let mut pixels = Vec::with_capacity(order.len() * length);
        for &index in order {
            pixels.extend_from_slice(&self.pixels[index * length..(index + 1) * length]);
        }
        Self { pixels, labels: order.iter().map(|&index| self.labels[index]).collect() }
    }
}

/// All images of a source.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// Class names, in label order.
    pub classes: Vec<String>,
    /// Channels, height, width.
    pub shape: [usize; 3],
    /// The images.
    pub parts: Parts,
    /// What a user must know about how they were read.
    pub notices: Vec<String>,
}

/// Images, as far as the source tells their splits apart.
#[derive(Clone, Debug, PartialEq)]
pub enum Parts {
    /// By split, in the order of [`Split::ALL`]; possibly none.
    Given([Images; 3]),
    /// Not told apart.
    Whole(Images),
}

impl Parts {
    /// Sorts images of given splits, which the source names for all of them or for none.
    pub fn sort(images: impl IntoIterator<Item = (Option<Split>, Images)>) -> Self {
        let mut splits: [Images; 3] = Default::default();
        let mut whole = Images::default();
        for (split, images) in images {
            let part = split.map_or(&mut whole, |split| &mut splits[index(split)]);
            part.pixels.extend(images.pixels);
            part.labels.extend(images.labels);
        }
        if whole.labels.is_empty() { Self::Given(splits) } else { Self::Whole(whole) }
    }

    /// Number of images of each class.
    pub fn counts(&self, classes: usize) -> Vec<usize> {
        let images = match self {
            Self::Given(splits) => splits.as_slice(),
            Self::Whole(images) => std::slice::from_ref(images),
        };
        let mut counts = vec![0; classes];
        for &label in images.iter().flat_map(|images| &images.labels) {
            counts[usize::from(label)] += 1;
        }
        counts
    }
}

/// The index of a split in [`Parts::Given`].
pub fn index(split: Split) -> usize {
    split as usize
}
