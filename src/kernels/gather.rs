//! Moving elements: transpositions, slices, expansions and changes of layout.

use super::Pixel;

/// Place of an element of one image in `[majors][block of images][minors]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Outside of the blocks.
    pub major: usize,
    /// Inside.
    pub minor: usize,
}

impl Position {
    /// Index of the element in some block of images; `minors` elements lie inside of a block.
    #[inline(always)]
    pub fn pixel(self, block: usize, blocks: usize, minors: usize) -> usize {
        (self.major * blocks + block) * minors + self.minor
    }
}

/// Where every element of a result comes from, in the order in which the result lies in memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GatherMap {
    /// One per element of one image: outside and inside of the blocks of the source.
    pub from: Vec<[u32; 2]>,
    /// Elements inside of a block, of the result and of the source.
    pub minors: [usize; 2],
}

impl GatherMap {
    /// Calls `run` with the index in the result and the index in the source of every element.
    #[inline(always)]
    fn each(&self, blocks: usize, mut run: impl FnMut(usize, usize)) {
        let [minors, source] = self.minors;
        for (major, from) in self.from.chunks(minors.max(1)).enumerate() {
            for block in 0..blocks {
                let start = (major * blocks + block) * minors;
                for (place, &[major, minor]) in from.iter().enumerate() {
                    let from = Position { major: major as usize, minor: minor as usize };
                    run(start + place, from.pixel(block, blocks, source));
                }
            }
        }
    }
}

/// Copies every element from where it comes.
pub fn forward(map: &GatherMap, blocks: usize, x: &[Pixel], out: &mut [Pixel]) {
    map.each(blocks, |to, from| out[to] = x[from]);
}

/// Adds the gradient of every element to where it came from.
pub fn backward(map: &GatherMap, blocks: usize, gradient: &[Pixel], x_gradient: &mut [Pixel]) {
    map.each(blocks, |to, from| {
        let term = gradient[to];
        let sum = &mut x_gradient[from];
        *sum = sum.zip(term, |sum, term| sum + term);
    });
}
