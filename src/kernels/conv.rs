//! Convolutions, dense, grouped and depthwise, on packed copies of their input.

use rayon::prelude::*;

use super::{
    cores::shared_among,
    elementwise::sum,
    pixel::{IMAGES, Pixel, flat, flat_mut},
    scratch::Scratch,
    tile::{Correlate, MOST_INTERLEAVED, Reduce, correlate, interleaved, reduce},
    window::{Packing, Window, channels_at_once, pixels_for},
};

/// Geometry of a convolution over one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvShape {
    /// Blocks of images.
    pub blocks: usize,
    /// Input channels, height, width.
    pub input: [usize; 3],
    /// Output channels, height, width.
    pub output: [usize; 3],
    /// Window.
    pub kernel: [usize; 2],
    /// Strides.
    pub stride: [usize; 2],
    /// Dilations.
    pub dilation: [usize; 2],
    /// Pads at top and left (those at bottom and right follow from the output).
    pub pad: [usize; 2],
    /// Channel groups.
    pub groups: usize,
}

impl ConvShape {
    fn input_plane(&self) -> usize {
        self.blocks * self.input[1] * self.input[2]
    }

    fn output_plane(&self) -> usize {
        self.blocks * self.output[1] * self.output[2]
    }

    /// Input and output channels of a group.
    fn channels(&self) -> [usize; 2] {
        [self.input[0] / self.groups, self.output[0] / self.groups]
    }

    fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Of all images.
    fn multiply_accumulates(&self) -> usize {
        let sums = self.output[0] * self.output_plane() * IMAGES;
        sums.saturating_mul(self.channels()[0] * self.taps())
    }

    /// Position of a tap relative to `stride · output position`.
    fn tap(&self, axis: usize, index: usize) -> isize {
        (index * self.dilation[axis]) as isize - self.pad[axis] as isize
    }

    /// What an output pixel sums over.
    fn window(&self) -> Window {
        let rows = 0..self.kernel[0];
        let taps = rows
            .flat_map(|ky| (0..self.kernel[1]).map(move |kx| [self.tap(0, ky), self.tap(1, kx)]));
        Window {
            blocks: self.blocks,
            input: [self.input[1], self.input[2]],
            output: [self.output[1], self.output[2]],
            count: [self.output[1], self.output[2]],
            first: [0, 0],
            spread: [1, 1],
            step: self.stride,
            taps: taps.collect(),
        }
    }

    /// What the gradient of an input pixel sums over, together with the index of each tap: one
    /// window for each phase of the strides.
    fn transposed_windows(&self) -> Vec<(Window, Vec<usize>)> {
        let phases = (0..self.stride[0]).flat_map(|y| (0..self.stride[1]).map(move |x| [y, x]));
        // Input position = stride · output position + tap, hence for a phase only taps that are
        // congruent to it count.
        let reached = |axis: usize, phase: usize, index: usize| {
            let distance = phase as isize - self.tap(axis, index);
            let stride = self.stride[axis] as isize;
            (distance.rem_euclid(stride) == 0).then(|| distance.div_euclid(stride))
        };
        let window = |phase: [usize; 2]| {
            let (mut taps, mut indices) = (Vec::new(), Vec::new());
            for ky in 0..self.kernel[0] {
                for kx in 0..self.kernel[1] {
                    if let (Some(y), Some(x)) = (reached(0, phase[0], ky), reached(1, phase[1], kx))
                    {
                        taps.push([y, x]);
                        indices.push(ky * self.kernel[1] + kx);
                    }
                }
            }
            let count = std::array::from_fn(|axis| {
                self.input[axis + 1].saturating_sub(phase[axis]).div_ceil(self.stride[axis])
            });
            let window = Window {
                blocks: self.blocks,
                input: [self.output[1], self.output[2]],
                output: [self.input[1], self.input[2]],
                count,
                first: phase,
                spread: self.stride,
                step: [1, 1],
                taps,
            };
            (window, indices)
        };
        phases.map(window).collect()
    }
}

/// Interleaves weights for [`correlate`]: `weight(output channel, input channel, tap)`.
fn interleave(
    [inputs, outputs, taps]: [usize; 3],
    weight: impl Fn(usize, usize, usize) -> f32,
    packed: &mut [f32],
) {
    let (mut first, depth) = (0, inputs * taps);
    while first < outputs {
        let run = interleaved(outputs - first);
        let packed = &mut packed[first * depth..(first + run) * depth];
        for (index, packed) in packed.chunks_exact_mut(run).enumerate() {
            let (input, tap) = (index / taps, index % taps);
            for (row, packed) in packed.iter_mut().enumerate() {
                *packed = weight(first + row, input, tap);
            }
        }
        first += run;
    }
}

/// `out = x ∗ weight + bias`; weight `[O, I / groups, kh, kw]`.
pub fn forward(
    shape: &ConvShape,
    x: &[Pixel],
    weight: &[f32],
    bias: Option<&[f32]>,
    out: &mut [Pixel],
    scratch: &mut Scratch,
) {
    let window = shape.window();
    let [inputs, outputs] = shape.channels();
    let packing = Packing::new(&window, inputs);
    let run =
        Forward { shape, packing: &packing, offsets: &packing.offsets(inputs), x, weight, bias };
    // A group stays whole, and so do output channels that are computed together.
    let unit = if shape.groups == 1 { MOST_INTERLEAVED } else { outputs };
    let units = shape.output[0] / unit.max(1);
    match shared_among(units, shape.multiply_accumulates()) {
        1 => run.channels(0, out, scratch),
        cores => {
            let channels = units.div_ceil(cores) * unit;
            let parts = out.par_chunks_mut(channels * shape.output_plane()).enumerate();
            parts.for_each(|(part, out)| {
                run.channels(part * channels, out, &mut Scratch::default());
            });
        }
    }
}

/// A convolution, and what all its output channels have in common.
struct Forward<'a> {
    shape: &'a ConvShape,
    packing: &'a Packing<'a>,
    offsets: &'a [usize],
    x: &'a [Pixel],
    weight: &'a [f32],
    bias: Option<&'a [f32]>,
}

impl Forward<'_> {
    /// As many output channels as `out` holds, from the first of them on.
    fn channels(&self, mut first: usize, out: &mut [Pixel], scratch: &mut Scratch) {
        let &Self { shape, packing, offsets, x, weight, bias } = self;
        let [inputs, outputs] = shape.channels();
        let (taps, plane) = (shape.taps(), shape.output_plane());
        let mut packed = packing.buffer(inputs, scratch);
        let mut weights = scratch.take(pixels_for(inputs * outputs * taps));
        let mut places = Vec::new();
        for out in out.chunks_mut((outputs * plane).max(1)) {
            let channels = out.len() / plane;
            let weight = &weight[first * inputs * taps..];
            let own = |o: usize, i: usize, tap: usize| weight[(o * inputs + i) * taps + tap];
            interleave([inputs, channels, taps], own, flat_mut(&mut weights));
            let x = &x[first / outputs * inputs * shape.input_plane()..];
            for chunk in packing.chunks() {
                packing.places(&chunk, &mut places);
                packing.pack(&chunk, x, inputs, &mut packed);
                let job = Correlate {
                    input: &packed,
                    offsets,
                    weights: flat(&weights),
                    bias: bias.map(|bias| &bias[first..]),
                    places: &places,
                    channels,
                    stride: plane,
                    accumulate: false,
                };
                correlate(&job, out);
            }
            first += channels;
        }
        scratch.give(weights);
        scratch.give(packed);
    }
}

/// The gradient of `x`, written over or added to `out`.
pub fn backward_input(
    shape: &ConvShape,
    weight: &[f32],
    gradient: &[Pixel],
    accumulate: bool,
    out: &mut [Pixel],
    scratch: &mut Scratch,
) {
    let [inputs, outputs] = shape.channels();
    let all_taps = shape.taps();
    let mut places = Vec::new();
    for (window, indices) in shape.transposed_windows() {
        let packing = Packing::new(&window, outputs);
        let offsets = packing.offsets(outputs);
        let mut packed = packing.buffer(outputs, scratch);
        let mut weights = scratch.take(pixels_for(inputs * outputs * indices.len()));
        for group in 0..shape.groups {
            let weight = &weight[group * outputs * inputs * all_taps..];
            let swapped =
                |i: usize, o: usize, tap: usize| weight[(o * inputs + i) * all_taps + indices[tap]];
            interleave([outputs, inputs, indices.len()], swapped, flat_mut(&mut weights));
            let gradient = &gradient[group * outputs * shape.output_plane()..];
            let out = &mut out[group * inputs * shape.input_plane()..];
            for chunk in packing.chunks() {
                packing.places(&chunk, &mut places);
                packing.pack(&chunk, gradient, outputs, &mut packed);
                let job = Correlate {
                    input: &packed,
                    offsets: &offsets,
                    weights: flat(&weights),
                    bias: None,
                    places: &places,
                    channels: inputs,
                    stride: shape.input_plane(),
                    accumulate,
                };
                correlate(&job, out);
            }
        }
        scratch.give(weights);
        scratch.give(packed);
    }
}

/// Adds the gradients of weight and bias to `weight_gradient` and `bias_gradient`.
pub fn backward_weight(
    shape: &ConvShape,
    x: &[Pixel],
    gradient: &[Pixel],
    weight_gradient: &mut [f32],
    bias_gradient: Option<&mut [f32]>,
    scratch: &mut Scratch,
) {
    if let Some(bias) = bias_gradient {
        for (bias, row) in bias.iter_mut().zip(gradient.chunks_exact(shape.output_plane().max(1))) {
            *bias += sum(flat(row));
        }
    }
    let [inputs, outputs] = shape.channels();
    let taps = shape.taps();
    let window = shape.window();
    let at_once = channels_at_once(&window, inputs);
    let packing = Packing::new(&window, at_once);
    let mut packed = packing.buffer(at_once, scratch);
    let mut places = Vec::new();
    for group in 0..shape.groups {
        let gradient = &gradient[group * outputs * shape.output_plane()..];
        let weight_gradient = &mut weight_gradient[group * outputs * inputs * taps..];
        for first in (0..inputs).step_by(at_once) {
            let channels = at_once.min(inputs - first);
            let offsets = packing.offsets(channels);
            let x = &x[(group * inputs + first) * shape.input_plane()..];
            for chunk in packing.chunks() {
                packing.places(&chunk, &mut places);
                packing.pack(&chunk, x, channels, &mut packed);
                let job = Reduce {
                    input: &packed,
                    offsets: &offsets,
                    gradient,
                    places: &places,
                    channels: outputs,
                    stride: shape.output_plane(),
                };
                reduce(&job, &mut weight_gradient[first * taps..], inputs * taps);
            }
        }
    }
    scratch.give(packed);
}
