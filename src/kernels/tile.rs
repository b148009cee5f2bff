//! The two inner loops of every convolution, on registers.
//!
//! [`correlate`] gives sums over channels and kernel taps, [`reduce`] sums over pixels and images.
//! Both read the input through offsets, so that they know nothing of strides, pads or dilations.

use std::ops::Range;

use super::{
    bounds::inside,
    pixel::{IMAGES, Pixel},
    simd::level,
    vector::{Vector, on_registers},
};

/// One output pixel: where it reads in the packed input, before the offsets of channels and taps are
/// added, and where it lies in its channel. Both in pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub input: usize,
    pub output: usize,
}

/// Channels and taps that are summed over at a time: the pixels that they read at one place fill half of a first-level
/// cache, where they stay for all output channels.
const MOST_OFFSETS: usize = 256;

/// Most output channels that are computed together on any processor.
pub(super) const MOST_INTERLEAVED: usize = 8;

/// How many of the remaining output channels are computed together, their weights interleaved: as many
/// as registers allow, or else the largest power of two.
pub(super) fn interleaved(remaining: usize) -> usize {
    let most = match level() {
        #[cfg(target_arch = "x86_64")]
        super::simd::Level::Avx512 => MOST_INTERLEAVED,
        _ => 4,
    };
    if remaining >= most { most } else { 1 << remaining.ilog2() }
}

/// Operands of [`correlate`].
pub(super) struct Correlate<'a> {
    /// Packed input.
    pub input: &'a [Pixel],
    /// Of every channel and tap.
    pub offsets: &'a [usize],
    /// Runs of [`interleaved`] output channels: `[channel and tap][output channel]`.
    pub weights: &'a [f32],
    /// Start of each sum, by output channel.
    pub bias: Option<&'a [f32]>,
    /// Output pixels.
    pub places: &'a [Place],
    /// Output channels.
    pub channels: usize,
    /// Distance between output channels.
    pub stride: usize,
    /// Whether to add to the output.
    pub accumulate: bool,
}

/// `out[channel · stride + place.output] = bias + Σ weight · input[place.input + offset]`.
///
/// # Panics
/// If an operand is too small.
pub(super) fn correlate(job: &Correlate, out: &mut [Pixel]) {
    let (Some(input), Some(output)) = (
        job.places.iter().map(|place| place.input).max(),
        job.places.iter().map(|place| place.output).max(),
    ) else {
        return;
    };
    assert!(reaches_only(job.input, input, job.offsets));
    assert!(job.channels > 0 && inside(output, [[job.channels - 1, job.stride]], out.len()));
    assert!(inside(0, [[job.channels, job.offsets.len()]], job.weights.len() + 1));
    assert!(job.bias.is_none_or(|bias| bias.len() >= job.channels));
    let out = out.as_mut_ptr().cast::<f32>();
    // SAFETY: every place with every offset and channel was checked to lie inside its operand.
    on_registers!(unsafe sweep(job: &Correlate, out: *mut f32): avx512 [3, 8], avx2 [1, 4], plain [1, 1]);
}

/// Whether a place and every offset from it lie inside the input.
fn reaches_only(input: &[Pixel], place: usize, offsets: &[usize]) -> bool {
    offsets.iter().all(|&offset| inside(place, [[1, offset]], input.len()))
}

/// All places, `P` at a time for many output channels, `Q` at a time for one or two.
#[inline(always)]
unsafe fn sweep<V: Vector, const P: usize, const Q: usize>(job: &Correlate, out: *mut f32) {
    // SAFETY: the caller checked all operands.
    unsafe {
        let rest = if job.channels > 2 {
            let (tiles, rest) = job.places.as_chunks::<P>();
            for places in tiles {
                column::<V, P, true>(job, places, out);
            }
            rest
        } else {
            let (tiles, rest) = job.places.as_chunks::<Q>();
            for places in tiles {
                column::<V, Q, false>(job, places, out);
            }
            rest
        };
        for place in rest {
            column::<V, 1, true>(job, &[*place], out);
        }
    }
}

/// All output channels at some places.
#[inline(always)]
unsafe fn column<V: Vector, const P: usize, const MANY: bool>(
    job: &Correlate,
    places: &[Place; P],
    out: *mut f32,
) {
    let count = job.offsets.len();
    let block = count.div_ceil(count.div_ceil(MOST_OFFSETS).max(1));
    let mut first = 0;
    loop {
        let offsets = first..count.min(first + block);
        let mut channel = 0;
        while channel < job.channels {
            let run = interleaved_in::<MANY>(job.channels - channel);
            let offsets = offsets.clone();
            // SAFETY: the caller checked all operands.
            unsafe {
                match run {
                    8 if MANY => tile::<V, 8, P>(job, channel, offsets, places, out),
                    4 if MANY => tile::<V, 4, P>(job, channel, offsets, places, out),
                    2 => tile::<V, 2, P>(job, channel, offsets, places, out),
                    _ => tile::<V, 1, P>(job, channel, offsets, places, out),
                }
            }
            channel += run;
        }
        first = offsets.end;
        if first >= count {
            return;
        }
    }
}

#[inline(always)]
fn interleaved_in<const MANY: bool>(remaining: usize) -> usize {
    if MANY { interleaved(remaining) } else { remaining.min(2) }
}

/// What `M` output channels at `P` places sum over some of the channels and taps.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "indices of register tiles, unrolled")]
unsafe fn tile<V: Vector, const M: usize, const P: usize>(
    job: &Correlate,
    channel: usize,
    offsets: Range<usize>,
    places: &[Place; P],
    out: *mut f32,
) {
    // SAFETY: the caller checked all operands.
    unsafe {
        let mut inputs = [std::ptr::null::<f32>(); P];
        let mut outputs = [out; P];
        for p in 0..P {
            inputs[p] = job.input.as_ptr().cast::<f32>().add(places[p].input * IMAGES);
            outputs[p] = out.add((channel * job.stride + places[p].output) * IMAGES);
        }
        let mut sums = [[V::splat(0.0); P]; M];
        let goes_on = offsets.start > 0;
        for m in 0..M {
            for p in 0..P {
                sums[m][p] = match job.bias {
                    _ if goes_on => V::load(outputs[p].add(m * job.stride * IMAGES)),
                    Some(bias) => V::splat(*bias.get_unchecked(channel + m)),
                    None => V::splat(0.0),
                };
            }
        }
        let start = channel * job.offsets.len() + offsets.start * M;
        let mut weights = job.weights.as_ptr().add(start);
        for &offset in job.offsets.get_unchecked(offsets) {
            let mut x = [V::splat(0.0); P];
            for p in 0..P {
                x[p] = V::load(inputs[p].add(offset * IMAGES));
            }
            for m in 0..M {
                let weight = V::splat(*weights.add(m));
                for p in 0..P {
                    sums[m][p] = weight.multiply_add(x[p], sums[m][p]);
                }
            }
            weights = weights.add(M);
        }
        for m in 0..M {
            for p in 0..P {
                let to = outputs[p].add(m * job.stride * IMAGES);
                let sum = if job.accumulate && !goes_on {
                    sums[m][p].add(V::load(to))
                } else {
                    sums[m][p]
                };
                sum.store(to);
            }
        }
    }
}

/// Operands of [`reduce`].
pub(super) struct Reduce<'a> {
    /// Packed input.
    pub input: &'a [Pixel],
    /// Of every channel and tap.
    pub offsets: &'a [usize],
    /// Gradient of the output.
    pub gradient: &'a [Pixel],
    /// Output pixels.
    pub places: &'a [Place],
    /// Output channels.
    pub channels: usize,
    /// Distance between output channels.
    pub stride: usize,
}

/// `out[channel · row + k] += Σ gradient[channel · stride + place.output] ·
/// input[place.input + offsets[k]]` over places and images.
///
/// # Panics
/// If an operand is too small.
pub(super) fn reduce(job: &Reduce, out: &mut [f32], row: usize) {
    let (Some(input), Some(output)) = (
        job.places.iter().map(|place| place.input).max(),
        job.places.iter().map(|place| place.output).max(),
    ) else {
        return;
    };
    assert!(reaches_only(job.input, input, job.offsets));
    assert!(
        job.channels > 0 && inside(output, [[job.channels - 1, job.stride]], job.gradient.len())
    );
    assert!(inside(job.offsets.len(), [[job.channels - 1, row]], out.len() + 1));
    // SAFETY: every place with every offset and channel was checked to lie inside its operand.
    on_registers!(unsafe reduce_all(job: &Reduce, out: &mut [f32], row: usize): avx512 [4, 6], avx2 [2, 2], plain [2, 2]);
}

/// All sums, `M` output channels and `K` offsets at a time.
#[inline(always)]
unsafe fn reduce_all<V: Vector, const M: usize, const K: usize>(
    job: &Reduce,
    out: &mut [f32],
    row: usize,
) {
    let (mut channel, count) = (0, job.offsets.len());
    // SAFETY: the caller checked all operands.
    unsafe {
        while channel < job.channels {
            let left = job.channels - channel;
            let rows = if left >= M { M } else { left.min(2) };
            let mut k = 0;
            while k < count {
                let width = match (rows, count - k) {
                    (1, 9..) => 9,
                    (_, left) if left >= K => K,
                    (_, left) => left.min(3),
                };
                let out = &mut out[channel * row + k..];
                match (rows, width) {
                    (1, 9) => reduce_tile::<V, 1, 9>(job, channel, k, out, row),
                    (1, 3) => reduce_tile::<V, 1, 3>(job, channel, k, out, row),
                    (1, 2) => reduce_tile::<V, 1, 2>(job, channel, k, out, row),
                    (1, 1) => reduce_tile::<V, 1, 1>(job, channel, k, out, row),
                    (1, _) => reduce_tile::<V, 1, K>(job, channel, k, out, row),
                    (2, 3) => reduce_tile::<V, 2, 3>(job, channel, k, out, row),
                    (2, 2) => reduce_tile::<V, 2, 2>(job, channel, k, out, row),
                    (2, 1) => reduce_tile::<V, 2, 1>(job, channel, k, out, row),
                    (2, _) => reduce_tile::<V, 2, K>(job, channel, k, out, row),
                    (_, 3) => reduce_tile::<V, M, 3>(job, channel, k, out, row),
                    (_, 2) => reduce_tile::<V, M, 2>(job, channel, k, out, row),
                    (_, 1) => reduce_tile::<V, M, 1>(job, channel, k, out, row),
                    _ => reduce_tile::<V, M, K>(job, channel, k, out, row),
                }
                k += width;
            }
            channel += rows;
        }
    }
}

/// `M` output channels times `K` channels and taps.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "indices of register tiles, unrolled")]
unsafe fn reduce_tile<V: Vector, const M: usize, const K: usize>(
    job: &Reduce,
    channel: usize,
    first: usize,
    out: &mut [f32],
    row: usize,
) {
    // SAFETY: the caller checked all operands.
    unsafe {
        let gradient = job.gradient.as_ptr().cast::<f32>().add(channel * job.stride * IMAGES);
        let mut gradients = [gradient; M];
        for m in 0..M {
            gradients[m] = gradient.add(m * job.stride * IMAGES);
        }
        let mut inputs = [job.input.as_ptr().cast::<f32>(); K];
        for k in 0..K {
            inputs[k] = inputs[k].add(job.offsets.get_unchecked(first + k) * IMAGES);
        }
        let mut sums = [[V::splat(0.0); K]; M];
        for place in job.places {
            let mut dy = [V::splat(0.0); M];
            for m in 0..M {
                dy[m] = V::load(gradients[m].add(place.output * IMAGES));
            }
            for k in 0..K {
                let x = V::load(inputs[k].add(place.input * IMAGES));
                for m in 0..M {
                    sums[m][k] = dy[m].multiply_add(x, sums[m][k]);
                }
            }
        }
        for m in 0..M {
            for k in 0..K {
                let mut lanes = [0.0; IMAGES];
                sums[m][k].store(lanes.as_mut_ptr());
                out[m * row + k] += lanes.iter().sum::<f32>();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stride whose double is zero in wrapping arithmetic.
    const HALF: usize = 1 << (usize::BITS - 1);
    const PIXELS: [Pixel; 4] = [Pixel::ZERO; 4];

    fn correlate_three_channels(offset: usize, stride: usize) {
        let job = Correlate {
            input: &PIXELS,
            offsets: &[offset],
            weights: &[1.0; 3],
            bias: None,
            places: &[Place { input: 1, output: 0 }],
            channels: 3,
            stride,
            accumulate: false,
        };
        correlate(&job, &mut [Pixel::ZERO; 3]);
    }

    fn reduce_three_channels(offset: usize, stride: usize, row: usize) {
        let job = Reduce {
            input: &PIXELS,
            offsets: &[offset],
            gradient: &PIXELS,
            places: &[Place { input: 1, output: 0 }],
            channels: 3,
            stride,
        };
        reduce(&job, &mut [0.0; 3], row);
    }

    #[test]
    fn operands_that_are_too_small_are_refused() {
        correlate_three_channels(2, 1);
        reduce_three_channels(2, 1, 1);
        let refuses = |run: fn()| std::panic::catch_unwind(run).is_err();
        assert!(refuses(|| correlate_three_channels(3, 1)));
        assert!(refuses(|| correlate_three_channels(usize::MAX, 1)));
        assert!(refuses(|| correlate_three_channels(2, 2)));
        assert!(refuses(|| correlate_three_channels(2, HALF)));
        assert!(refuses(|| reduce_three_channels(usize::MAX, 1, 1)));
        assert!(refuses(|| reduce_three_channels(2, HALF, 1)));
        assert!(refuses(|| reduce_three_channels(2, 1, HALF)));
    }
}
