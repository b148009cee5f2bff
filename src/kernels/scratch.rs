//! Reusable buffers.

use super::Pixel;

/// A pool of buffers, so that a training step in its steady state allocates nothing.
#[derive(Debug, Default)]
pub struct Scratch {
    free: Vec<Vec<Pixel>>,
}

impl Scratch {
    /// A buffer of a length, its values arbitrary.
    pub fn take(&mut self, length: usize) -> Vec<Pixel> {
        // The smallest buffer that fits, otherwise the largest, which then grows.
        let best = (0..self.free.len()).min_by_key(|&index| {
            let capacity = self.free[index].capacity();
            (capacity < length, if capacity < length { usize::MAX - capacity } else { capacity })
        });
        let mut buffer = best.map(|index| self.free.swap_remove(index)).unwrap_or_default();
        if buffer.capacity() < length {
            // Nothing in it is worth moving.
            buffer = Vec::with_capacity(length.next_power_of_two());
        }
        buffer.resize(length, Pixel::ZERO);
        buffer
    }

    /// A buffer of zeros.
    pub fn zeros(&mut self, length: usize) -> Vec<Pixel> {
        let mut buffer = self.take(length);
        buffer.fill(Pixel::ZERO);
        buffer
    }

    /// Takes a buffer back.
    pub fn give(&mut self, buffer: Vec<Pixel>) {
        if buffer.capacity() > 0 {
            self.free.push(buffer);
        }
    }
}
