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
        // Never a larger one, which may be needed later.
        let capacity = length.next_power_of_two();
        let pixels = match self.free.iter().rposition(|free| free.len() == capacity) {
            Some(index) => self.free.swap_remove(index),
            None => {
                // The largest one is replaced, so that the pool does not grow from network to network.
                let largest = (0..self.free.len()).max_by_key(|&index| self.free[index].len());
                largest.map(|index| self.free.swap_remove(index));
                vec![Pixel::ZERO; capacity]
            }
        };
        Buffer { pixels, length }
    }

    /// A buffer of zeros.
    pub fn zeros(&mut self, length: usize) -> Buffer {
        let mut buffer = self.take(length);
        buffer.fill(Pixel::ZERO);
        buffer
    }

    /// Takes a buffer back.
    pub fn give(&mut self, buffer: Buffer) {
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
