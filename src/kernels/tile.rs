//! The two inner loops of every convolution, on registers.
//!
//! [`correlate`] gives sums over channels and kernel taps, [`reduce`] sums over pixels and images.
//! Both read the input through offsets, so that they know nothing of strides, pads or dilations.

use super::{
    pixel::{IMAGES, Pixel},
    simd::{Level, level},
    vector::Vector,
};

/// Where one output pixel reads (offset in the packed input, to which those of channels and taps
/// are added) and where it stands in its channel; both in pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub input: usize,
    pub output: usize,
}

/// Output channels whose weights are interleaved: a run of as many as possible, then halves.
pub(super) fn interleaved(remaining: usize) -> usize {
    let most = if level() == Level::Wide { 8 } else { 4 };
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
    assert!(job.offsets.iter().all(|offset| input + offset < job.input.len()));
    assert!(job.channels > 0 && (job.channels - 1) * job.stride + output < out.len());
    assert!(job.channels * job.offsets.len() <= job.weights.len());
    assert!(job.bias.is_none_or(|bias| bias.len() >= job.channels));
    let out = out.as_mut_ptr().cast::<f32>();
    // SAFETY: every place with every offset and channel was checked to lie inside its operand;
    // `level` saw the features.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        match level() {
            Level::Wide => return correlate_wide(job, out),
            Level::Medium => return correlate_medium(job, out),
            Level::Baseline => {}
        }
        sweep::<[f32; IMAGES], 1, 1>(job, out);
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn correlate_wide(job: &Correlate, out: *mut f32) {
    // SAFETY: as promised to the caller's caller.
    unsafe { sweep::<super::vector::Avx512, 3, 8>(job, out) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn correlate_medium(job: &Correlate, out: *mut f32) {
    // SAFETY: as promised to the caller's caller.
    unsafe { sweep::<super::vector::Avx2, 1, 4>(job, out) }
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
    let mut channel = 0;
    while channel < job.channels {
        let run = interleaved_in::<MANY>(job.channels - channel);
        // SAFETY: the caller checked all operands.
        unsafe {
            match run {
                8 if MANY => tile::<V, 8, P>(job, channel, places, out),
                4 if MANY => tile::<V, 4, P>(job, channel, places, out),
                2 => tile::<V, 2, P>(job, channel, places, out),
                _ => tile::<V, 1, P>(job, channel, places, out),
            }
        }
        channel += run;
    }
}

#[inline(always)]
fn interleaved_in<const MANY: bool>(remaining: usize) -> usize {
    if MANY { interleaved(remaining) } else { remaining.min(2) }
}

/// `M` output channels at `P` places.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "indices of register tiles, unrolled")]
unsafe fn tile<V: Vector, const M: usize, const P: usize>(
    job: &Correlate,
    channel: usize,
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
        if let Some(bias) = job.bias {
            for m in 0..M {
                sums[m] = [V::splat(*bias.get_unchecked(channel + m)); P];
            }
        }
        let mut weights = job.weights.as_ptr().add(channel * job.offsets.len());
        for &offset in job.offsets {
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
                let sum = if job.accumulate { sums[m][p].add(V::load(to)) } else { sums[m][p] };
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
    assert!(job.offsets.iter().all(|offset| input + offset < job.input.len()));
    assert!(job.channels > 0 && (job.channels - 1) * job.stride + output < job.gradient.len());
    assert!((job.channels - 1) * row + job.offsets.len() <= out.len());
    // SAFETY: every place with every offset and channel was checked to lie inside its operand;
    // `level` saw the features.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        match level() {
            Level::Wide => return reduce_wide(job, out, row),
            Level::Medium => return reduce_medium(job, out, row),
            Level::Baseline => {}
        }
        reduce_all::<[f32; IMAGES], 2, 2>(job, out, row);
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn reduce_wide(job: &Reduce, out: &mut [f32], row: usize) {
    // SAFETY: as promised to the caller's caller.
    unsafe { reduce_all::<super::vector::Avx512, 4, 6>(job, out, row) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn reduce_medium(job: &Reduce, out: &mut [f32], row: usize) {
    // SAFETY: as promised to the caller's caller.
    unsafe { reduce_all::<super::vector::Avx2, 2, 2>(job, out, row) }
}

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
    use approx::assert_abs_diff_eq;

    fn pixels(count: usize, seed: usize) -> Vec<Pixel> {
        let value = |index: usize| ((index * 7919 + seed * 31) % 1013) as f32 / 506.0 - 1.0;
        (0..count)
            .map(|pixel| Pixel(std::array::from_fn(|lane| value(pixel * IMAGES + lane))))
            .collect()
    }

    /// Runs a function for every instruction set that this processor has; all must agree.
    fn agree(count: usize, run: impl Fn(Level, &mut [f32])) {
        let mut plain = vec![0.5; count];
        run(Level::Baseline, &mut plain);
        for other in [Level::Medium, Level::Wide] {
            let here = match other {
                Level::Wide => level() == Level::Wide,
                _ => level() != Level::Baseline,
            };
            let mut out = vec![0.5; count];
            if here {
                run(other, &mut out);
                for (out, plain) in out.iter().zip(&plain) {
                    assert_abs_diff_eq!(out, plain, epsilon = 1e-4);
                }
            }
        }
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn instruction_sets_agree() {
        let (input, gradient) = (pixels(200, 1), pixels(200, 2));
        let places: Vec<Place> =
            (0..11).map(|at| Place { input: 3 * at, output: 10 - at }).collect();
        for (channels, depth) in [(1, 9), (2, 5), (7, 10), (13, 4)] {
            let offsets: Vec<usize> = (0..depth).map(|k| (k * 17) % 150).collect();
            let weights: Vec<f32> =
                (0..channels * depth).map(|k| (k % 7) as f32 / 7.0 - 0.4).collect();
            let bias: Vec<f32> = (0..channels).map(|channel| channel as f32).collect();
            let job = Correlate {
                input: &input,
                offsets: &offsets,
                weights: &weights,
                bias: Some(&bias),
                places: &places,
                channels,
                stride: 11,
                accumulate: true,
            };
            // SAFETY: operands are long enough, and the features are there.
            agree(channels * 11 * IMAGES, |level, out| unsafe {
                match level {
                    Level::Wide => correlate_wide(&job, out.as_mut_ptr()),
                    Level::Medium => correlate_medium(&job, out.as_mut_ptr()),
                    Level::Baseline => sweep::<[f32; IMAGES], 1, 1>(&job, out.as_mut_ptr()),
                }
            });
            let job = Reduce {
                input: &input,
                offsets: &offsets,
                gradient: &gradient,
                places: &places,
                channels,
                stride: 11,
            };
            // SAFETY: as above.
            agree(channels * depth, |level, out| unsafe {
                match level {
                    Level::Wide => reduce_wide(&job, out, depth),
                    Level::Medium => reduce_medium(&job, out, depth),
                    Level::Baseline => reduce_all::<[f32; IMAGES], 2, 2>(&job, out, depth),
                }
            });
        }
    }
}
