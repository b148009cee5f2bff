//! Changes of all images of a task alike, which make another task of it.

use rand::{Rng, seq::SliceRandom};

/// What is done to each image.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct TaskChange {
    /// Dark becomes light.
    pub invert: bool,
    /// Rows become columns.
    pub transpose: bool,
    /// Left becomes right.
    pub mirror: bool,
    /// Top becomes bottom.
    pub flip: bool,
    /// Channel that takes the place of each, where there are three.
    pub channels: Option<[usize; 3]>,
}

impl TaskChange {
    /// Each part by chance.
    pub fn draw(random: &mut impl Rng) -> Self {
        let mut channels = [0, 1, 2];
        channels.shuffle(random);
        Self {
            invert: random.random(),
            transpose: random.random(),
            mirror: random.random(),
            flip: random.random(),
            channels: random.random::<bool>().then_some(channels),
        }
    }

    /// Changes an image of pixels from 0 to 1, channel by channel; it has as many rows as columns.
    pub fn apply(&self, image: &mut [f32], channels: usize) {
        let plane = image.len() / channels;
        let side = plane.isqrt();
        let before = image.to_vec();
        for (channel, out) in image.chunks_exact_mut(plane).enumerate() {
            let from = match self.channels {
                Some(order) if channels == order.len() => order[channel],
                _ => channel,
            };
            let source = &before[from * plane..(from + 1) * plane];
            for (at, out) in out.iter_mut().enumerate() {
                let (mut row, mut column) = (at / side, at % side);
                if self.mirror {
                    column = side - 1 - column;
                }
                if self.flip {
                    row = side - 1 - row;
                }
                if self.transpose {
                    (row, column) = (column, row);
                }
                let pixel = source[row * side + column];
                *out = if self.invert { 1.0 - pixel } else { pixel };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;

    #[test]
    fn every_change_does_what_it_says() {
        let image: Vec<f32> = (0..12_u8).map(|value| f32::from(value) / 16.0).collect();
        let changed = |change: TaskChange, channels: usize| {
            let mut changed = image[..channels * 4].to_vec();
            change.apply(&mut changed, channels);
            changed.iter().map(|value| value * 16.0).collect::<Vec<_>>()
        };
        let none = TaskChange::default();
        assert_eq!(changed(TaskChange { invert: true, ..none }, 1), [16.0, 15.0, 14.0, 13.0]);
        assert_eq!(changed(TaskChange { transpose: true, ..none }, 1), [0.0, 2.0, 1.0, 3.0]);
        assert_eq!(changed(TaskChange { mirror: true, ..none }, 1), [1.0, 0.0, 3.0, 2.0]);
        assert_eq!(changed(TaskChange { flip: true, ..none }, 1), [2.0, 3.0, 0.0, 1.0]);
        let swapped = changed(TaskChange { channels: Some([2, 0, 1]), ..none }, 3);
        assert_relative_eq!(swapped[..4], [8.0, 9.0, 10.0, 11.0]);
        assert_relative_eq!(swapped[4..8], [0.0, 1.0, 2.0, 3.0]);
    }
}
