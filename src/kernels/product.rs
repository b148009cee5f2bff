//! Products of matrices that every image has its own of, such as those of attention.

use rayon::prelude::*;

use super::{
    Pixel,
    bounds::inside,
    cores::shared_among,
    gather::Position,
    pixel::IMAGES,
    vector::{Vector, on_registers},
};

/// A matrix of pixels: where it begins and how far apart rows and columns are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Matrix {
    /// First element.
    pub start: usize,
    /// From row to row.
    pub row: usize,
    /// From column to column.
    pub column: usize,
}

impl Matrix {
    /// Rows and columns exchanged.
    pub fn transposed(self) -> Self {
        Self { row: self.column, column: self.row, ..self }
    }

    /// Whether no two elements lie in the same place.
    fn is_injective(self, rows: usize, columns: usize) -> bool {
        let row = (rows - 1).saturating_mul(self.row);
        let column = (columns - 1).saturating_mul(self.column);
        self.row > column && (self.column > 0 || columns == 1)
            || self.column > row && (self.row > 0 || rows == 1)
    }

    /// Whether all elements lie inside of `length`; a matrix has at least one.
    fn lies_inside(self, rows: usize, columns: usize, length: usize) -> bool {
        inside(self.start, [[rows - 1, self.row], [columns - 1, self.column]], length)
    }
}

/// `out += a · b` with `extents` rows, columns and the depth summed over.
///
/// # Panics
/// If a matrix does not lie inside its operand.
pub fn accumulate(
    extents: [usize; 3],
    a: (&[Pixel], Matrix),
    b: (&[Pixel], Matrix),
    out: (&mut [Pixel], Matrix),
) {
    accumulate_among(1, extents, a, b, out);
}

/// The same, shared among so many cores. The result does not depend on their number.
fn accumulate_among(
    cores: usize,
    extents: [usize; 3],
    (a, a_at): (&[Pixel], Matrix),
    (b, b_at): (&[Pixel], Matrix),
    (out, out_at): (&mut [Pixel], Matrix),
) {
    let [rows, columns, depth] = extents;
    if extents.contains(&0) {
        return;
    }
    assert!(a_at.lies_inside(rows, depth, a.len()));
    assert!(b_at.lies_inside(depth, columns, b.len()));
    assert!(out_at.lies_inside(rows, columns, out.len()));
    let job = &Job {
        extents,
        a: a[a_at.start..].as_ptr().cast(),
        a_at,
        b: b[b_at.start..].as_ptr().cast(),
        b_at,
        out: out[out_at.start..].as_mut_ptr().cast(),
        out_at,
    };
    let run = |job: &Job| {
        // SAFETY: all elements were checked to lie inside their operands.
        on_registers!(unsafe sweep(job: &Job): avx512 [4, 4], avx2 [2, 2], plain [1, 1]);
    };
    if cores == 1 || !out_at.is_injective(rows, columns) {
        return run(job);
    }
    let part = rows.div_ceil(cores).next_multiple_of(ROWS);
    (0..rows.div_ceil(part)).into_par_iter().for_each(|index| run(&job.rows(index * part, part)));
}

/// Rows that no core shares with another: those of the largest register tile.
const ROWS: usize = 4;

struct Job {
    extents: [usize; 3],
    a: *const f32,
    a_at: Matrix,
    b: *const f32,
    b_at: Matrix,
    out: *mut f32,
    out_at: Matrix,
}

// SAFETY: `a` and `b` are only read; of a job that is shared among threads, each writes to rows of its own, of
// which no two elements lie in the same place.
unsafe impl Sync for Job {}

impl Job {
    /// At most `count` rows from one on that there is.
    fn rows(&self, start: usize, count: usize) -> Self {
        let [rows, columns, depth] = self.extents;
        Self {
            extents: [count.min(rows - start), columns, depth],
            a: self.a.wrapping_add(start * self.a_at.row * IMAGES),
            out: self.out.wrapping_add(start * self.out_at.row * IMAGES),
            ..*self
        }
    }
}

/// All elements, `M` rows and `P` columns at a time.
#[inline(always)]
unsafe fn sweep<V: Vector, const M: usize, const P: usize>(job: &Job) {
    let [rows, columns, _] = job.extents;
    // SAFETY: the caller checked all operands.
    unsafe {
        for row in (0..rows - rows % M).step_by(M) {
            for column in (0..columns - columns % P).step_by(P) {
                tile::<V, M, P>(job, row, column);
            }
            for column in columns - columns % P..columns {
                tile::<V, M, 1>(job, row, column);
            }
        }
        for row in rows - rows % M..rows {
            for column in 0..columns {
                tile::<V, 1, 1>(job, row, column);
            }
        }
    }
}

#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "indices of register tiles, unrolled")]
unsafe fn tile<V: Vector, const M: usize, const P: usize>(job: &Job, row: usize, column: usize) {
    // SAFETY: the caller checked all operands.
    unsafe {
        let mut a = job.a.add(row * job.a_at.row * IMAGES);
        let mut b = job.b.add(column * job.b_at.column * IMAGES);
        let mut sums = [[V::splat(0.0); P]; M];
        for _ in 0..job.extents[2] {
            let mut right = [V::splat(0.0); P];
            for p in 0..P {
                right[p] = V::load(b.add(p * job.b_at.column * IMAGES));
            }
            for m in 0..M {
                let left = V::load(a.add(m * job.a_at.row * IMAGES));
                for p in 0..P {
                    sums[m][p] = left.multiply_add(right[p], sums[m][p]);
                }
            }
            a = a.wrapping_add(job.a_at.column * IMAGES);
            b = b.wrapping_add(job.b_at.row * IMAGES);
        }
        for m in 0..M {
            for p in 0..P {
                let at = (row + m) * job.out_at.row + (column + p) * job.out_at.column;
                let to = job.out.add(at * IMAGES);
                sums[m][p].add(V::load(to)).store(to);
            }
        }
    }
}

/// How a stack of matrices lies in a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stack {
    /// First element of each.
    pub starts: Vec<Position>,
    /// From row to row.
    pub row: Position,
    /// From column to column.
    pub column: Position,
    /// Elements of the value inside of a block.
    pub minors: usize,
}

impl Stack {
    /// One matrix in one block of images.
    pub fn matrix(&self, index: usize, block: usize, blocks: usize) -> Matrix {
        let distance = |stride: Position| stride.pixel(0, blocks, self.minors);
        Matrix {
            start: self.starts[index].pixel(block, blocks, self.minors),
            row: distance(self.row),
            column: distance(self.column),
        }
    }
}

/// A product of two stacks of as many matrices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// Rows, columns and the depth summed over.
    pub extents: [usize; 3],
    /// Left operand.
    pub a: Stack,
    /// Right operand.
    pub b: Stack,
    /// Result.
    pub out: Stack,
}

impl Product {
    /// Adds the products to `out`.
    pub fn forward(&self, blocks: usize, a: &[Pixel], b: &[Pixel], out: &mut [Pixel]) {
        let matrices = blocks * self.out.starts.len();
        let work = self.extents.iter().product::<usize>() * matrices * IMAGES;
        let cores = shared_among(self.extents[0], work);
        self.each(blocks, |[a_at, b_at, out_at]| {
            accumulate_among(cores, self.extents, (a, a_at), (b, b_at), (out, out_at));
        });
    }

    /// Adds to the gradient of the left operand: that of the result times the right one.
    pub fn backward_left(&self, blocks: usize, b: &[Pixel], gradient: &[Pixel], out: &mut [Pixel]) {
        let [rows, columns, depth] = self.extents;
        self.each(blocks, |[a_at, b_at, out_at]| {
            let right = (b, b_at.transposed());
            accumulate([rows, depth, columns], (gradient, out_at), right, (out, a_at));
        });
    }

    /// Adds to the gradient of the right operand: the left one times that of the result.
    pub fn backward_right(
        &self,
        blocks: usize,
        a: &[Pixel],
        gradient: &[Pixel],
        out: &mut [Pixel],
    ) {
        let [rows, columns, depth] = self.extents;
        self.each(blocks, |[a_at, b_at, out_at]| {
            let left = (a, a_at.transposed());
            accumulate([depth, columns, rows], left, (gradient, out_at), (out, b_at));
        });
    }

    fn each(&self, blocks: usize, mut run: impl FnMut([Matrix; 3])) {
        for index in 0..self.out.starts.len() {
            for block in 0..blocks {
                run([&self.a, &self.b, &self.out].map(|of| of.matrix(index, block, blocks)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matrices_outside_of_their_operands_are_refused() {
        const HALF: usize = 1 << (usize::BITS - 1);
        let run = |extents: [usize; 3], row: usize| {
            let at = Matrix { start: 0, row, column: 1 };
            let (one, mut out) = ([Pixel::ZERO; 4], [Pixel::ZERO; 4]);
            accumulate(extents, (&one, at), (&one, Matrix::default()), (&mut out, at));
        };
        run([2, 2, 2], 2);
        let refuses = |extents: [usize; 3], row: usize| {
            std::panic::catch_unwind(|| run(extents, row)).is_err()
        };
        assert!(refuses([3, 1, 1], 2));
        // The last row would be the first in wrapping arithmetic.
        assert!(refuses([3, 1, 1], HALF));
        assert!(refuses([2, 1, 1], usize::MAX));
    }
}
