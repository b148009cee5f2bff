//! Reusable buffers.

use std::{
    ops::{Deref, DerefMut},
    sync::{Mutex, PoisonError},
};

use super::Pixel;

/// A pool of buffers, so that a training step in its steady state allocates nothing.
#[derive(Debug, Default)]
pub struct Scratch {
    free: Vec<Vec<Pixel>>,
    /// Pixels of the buffers that are not free, and the most there ever were.
    taken: usize,
    most_taken: usize,
}

/// Some pixels at the start of a buffer that may be longer.
#[derive(Clone, Debug)]
pub struct Buffer {
    pixels: Vec<Pixel>,
    length: usize,
}

impl Deref for Buffer {
    type Target = [Pixel];

    fn deref(&self) -> &[Pixel] {
        &self.pixels[..self.length]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [Pixel] {
        &mut self.pixels[..self.length]
    }
}

impl Scratch {
    /// A buffer of a length, its values arbitrary.
    pub fn take(&mut self, length: usize) -> Buffer {
        // Never one that is much larger, which may be needed later.
        let fits = |free: &Vec<Pixel>| (length..=2 * length).contains(&free.len());
        let fitting = (0..self.free.len()).filter(|&index| fits(&self.free[index]));
        let pixels = match fitting.min_by_key(|&index| self.free[index].len()) {
            Some(index) => self.free.swap_remove(index),
            None => {
                let step = (length.next_power_of_two() / 8).max(1);
                vec![Pixel::ZERO; length.next_multiple_of(step)]
            }
        };
        self.taken += pixels.len();
        self.most_taken = self.most_taken.max(self.taken);
        self.shrink();
        Buffer { pixels, length }
    }

    /// Lets the largest free buffers go until there are no more than half of what was ever needed at a time, so that the
    /// pool does not grow from network to network.
    fn shrink(&mut self) {
        let mut held: usize = self.free.iter().map(Vec::len).sum();
        while self.taken + held > self.most_taken + self.most_taken / 2 {
            let largest = (0..self.free.len()).max_by_key(|&index| self.free[index].len());
            let Some(largest) = largest else { return };
            held -= self.free.swap_remove(largest).len();
        }
    }

    /// A buffer of zeros.
    pub fn zeros(&mut self, length: usize) -> Buffer {
        let mut buffer = self.take(length);
        buffer.fill(Pixel::ZERO);
        buffer
    }

    /// Takes a buffer back.
    pub fn give(&mut self, buffer: Buffer) {
        self.taken = self.taken.saturating_sub(buffer.pixels.len());
        self.free.push(buffer.pixels);
    }
}

/// Scratch memory, one per worker, reused from step to step.
#[derive(Debug, Default)]
pub struct Scratches(Mutex<Vec<Scratch>>);

impl Scratches {
    /// Lends one that nobody uses.
    pub fn with<T>(&self, work: impl FnOnce(&mut Scratch) -> T) -> T {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut scratch = lock().pop().unwrap_or_default();
        let result = work(&mut scratch);
        lock().push(scratch);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_used_again() {
        let mut scratch = Scratch::default();
        let mut first = scratch.take(100);
        first.fill(Pixel::splat(1.0));
        let (small, address) = (scratch.take(3), first.as_ptr());
        scratch.give(first);
        scratch.give(small);
        let again = scratch.take(90);
        assert_eq!((again.len(), again.as_ptr()), (90, address));
        assert_eq!(scratch.zeros(2).to_vec(), [Pixel::ZERO; 2]);
        assert!(scratch.take(1 << 10).len() == 1 << 10);
    }
}
