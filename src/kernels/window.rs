//! Padded copies of activations that stay in cache while all sums over them are taken.

use super::{
    pixel::{IMAGES, Pixel},
    scratch::{Buffer, Scratch},
    tile::Place,
};

/// Pixels of a packed copy: a third of a second-level cache of a megabyte.
const PACKED: usize = 6 * 1024;

/// Which input pixels each output pixel sums over: one for each tap, `step` further on for the next
/// output pixel. Only every `spread`-th output pixel is computed, starting at `first`.
#[derive(Clone, Debug)]
pub(super) struct Window {
    /// Blocks of images.
    pub blocks: usize,
    /// Input height and width.
    pub input: [usize; 2],
    /// Output height and width.
    pub output: [usize; 2],
    /// Output rows and columns that are computed.
    pub count: [usize; 2],
    /// The first of them.
    pub first: [usize; 2],
    /// Distance between them.
    pub spread: [usize; 2],
    /// Distance between the input pixels of neighbours.
    pub step: [usize; 2],
    /// Position of each tap for the first of them; may be outside of the input.
    pub taps: Vec<[isize; 2]>,
}

/// A part of the batch whose packed copy is small.
pub(super) struct Chunk {
    blocks: std::ops::Range<usize>,
    rows: std::ops::Range<usize>,
}

/// A [`Window`] together with the layout of its packed copies.
pub(super) struct Packing<'a> {
    window: &'a Window,
    /// First input row and column that any tap reaches.
    origin: [isize; 2],
    /// Rows and columns of the copy of one block.
    size: [usize; 2],
    /// Blocks and output rows of a chunk.
    chunk: [usize; 2],
    /// Distance between channels in a copy. Odd, so that channels do not compete for the same
    /// sets of the cache.
    pub stride: usize,
}

impl<'a> Packing<'a> {
    /// Chooses chunks for copies of some channels.
    pub fn new(window: &'a Window, channels: usize) -> Self {
        let reach = |axis: usize| {
            let positions = || window.taps.iter().map(|tap| tap[axis]);
            let low = positions().min().unwrap_or(0);
            (low, (positions().max().unwrap_or(0) - low) as usize + 1)
        };
        let [(top, high), (left, wide)] = [reach(0), reach(1)];
        let extent = |axis: usize, count: usize, reach: usize| {
            count.saturating_sub(1) * window.step[axis] + reach
        };
        let columns = extent(1, window.count[1], wide);
        let budget = (PACKED / channels.max(1)).max(1);
        let whole = extent(0, window.count[0], high) * columns;
        let chunk = if whole <= budget {
            [(budget / whole.max(1)).clamp(1, window.blocks.max(1)), window.count[0]]
        } else {
            let rows = (budget / columns.max(1)).saturating_sub(high) / window.step[0] + 1;
            [1, rows.min(window.count[0])]
        };
        let rows = extent(0, chunk[1], high);
        let stride = (chunk[0] * rows * columns) | 1;
        Self { window, origin: [top, left], size: [rows, columns], chunk, stride }
    }

    /// The parts of the batch, one after the other.
    pub fn chunks(&self) -> impl Iterator<Item = Chunk> {
        let (blocks, rows) = (self.window.blocks, self.window.count[0]);
        let [many, high] = self.chunk;
        (0..blocks).step_by(many.max(1)).flat_map(move |block| {
            (0..rows).step_by(high.max(1)).map(move |row| Chunk {
                blocks: block..(block + many).min(blocks),
                rows: row..(row + high).min(rows),
            })
        })
    }

    /// Offsets in a copy of every tap of every channel, channel by channel.
    pub fn offsets(&self, channels: usize) -> Vec<usize> {
        let taps = &self.window.taps;
        let offset = |tap: &[isize; 2]| {
            let [down, right] = [tap[0] - self.origin[0], tap[1] - self.origin[1]];
            down as usize * self.size[1] + right as usize
        };
        (0..channels)
            .flat_map(|channel| taps.iter().map(move |tap| channel * self.stride + offset(tap)))
            .collect()
    }

    /// The output pixels of a chunk.
    pub fn places(&self, chunk: &Chunk, places: &mut Vec<Place>) {
        let Window { output, first, spread, step, count, .. } = self.window;
        let [rows, columns] = self.size;
        places.clear();
        for (index, block) in chunk.blocks.clone().enumerate() {
            for (down, row) in chunk.rows.clone().enumerate() {
                let input = (index * rows + down * step[0]) * columns;
                let line = (block * output[0] + first[0] + row * spread[0]) * output[1] + first[1];
                places.extend((0..count[1]).map(|column| Place {
                    input: input + column * step[1],
                    output: line + column * spread[1],
                }));
            }
        }
    }

    /// Copies what the chunk reads of `channels` channels, zeros around it. `x` starts at the
    /// first of these channels.
    pub fn pack(&self, chunk: &Chunk, x: &[Pixel], channels: usize, packed: &mut [Pixel]) {
        let [height, width] = self.window.input;
        let [rows, columns] = self.size;
        let [top, left] = self.origin;
        let top = top + (chunk.rows.start * self.window.step[0]) as isize;
        // Columns of the copy before, on and after the image, and where they start there.
        let before = ((-left).max(0) as usize).min(columns);
        let skipped = (left.max(0) as usize).min(width);
        let inside = (width - skipped).min(columns - before);
        for channel in 0..channels {
            let mut target = packed[channel * self.stride..].chunks_exact_mut(columns.max(1));
            for block in chunk.blocks.clone() {
                let plane = &x[(channel * self.window.blocks + block) * height * width..];
                for row in 0..rows {
                    let Some(target) = target.next() else { return };
                    let row = top + row as isize;
                    if row < 0 || row >= height as isize {
                        target.fill(Pixel::ZERO);
                        continue;
                    }
                    target[..before].fill(Pixel::ZERO);
                    let from = row as usize * width + skipped;
                    target[before..before + inside].copy_from_slice(&plane[from..from + inside]);
                    target[before + inside..].fill(Pixel::ZERO);
                }
            }
        }
    }

    /// A buffer for copies of some channels.
    pub fn buffer(&self, channels: usize, scratch: &mut Scratch) -> Buffer {
        scratch.take(channels * self.stride)
    }
}

/// Values in as many pixels as hold them.
pub(super) fn pixels_for(values: usize) -> usize {
    values.div_ceil(IMAGES)
}

/// Input channels whose weights are differentiated together: as many as fit in a packed copy with
/// enough pixels to sum over, and such that their taps fill the registers.
pub(super) fn channels_at_once(window: &Window, channels: usize) -> usize {
    const SUMMANDS: usize = 256;
    let unit = match window.taps.len() % 6 {
        0 => 1,
        3 => 2,
        2 | 4 => 3,
        _ => 6,
    };
    let pixels = (window.count[0] * window.count[1]).max(1);
    let blocks = SUMMANDS.div_ceil(pixels).clamp(1, window.blocks.max(1));
    let [rows, columns] = Packing::new(window, 1).size;
    let fitting = PACKED / (rows * columns * blocks).max(1);
    (fitting / unit * unit).max(unit).min(channels.max(1))
}
