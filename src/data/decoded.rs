//! Raw images, whatever format they came in.

use super::Split;

/// Most bytes of raw pixels a dataset may have.
pub const MAX_PIXELS: u64 = 4 << 30;
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
    /// Images by split, in the order of [`Split::ALL`]; possibly none.
    pub splits: [Images; 3],
}

/// The index of a split in [`Decoded::splits`].
pub fn index(split: Split) -> usize {
    split as usize
}
