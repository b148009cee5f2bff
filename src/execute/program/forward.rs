//! Running a program forward.

use crate::{
    execute::lower::{Instruction, Places, Source},
    kernels::{
        Buffer, Pixel, Scratch, Step, activation, broadcast, conv,
        elementwise::{accumulate, add, affine, product},
        gather,
        gemm::{View, multiply_shared},
        layer_norm,
        norm::{self, Moments},
        pixel::{self, IMAGES, blocks, flat, flat_mut},
        pool::{self, Windows},
        softmax,
    },
};

use super::{Images, NormStatistics, Program};

/// What a forward run leaves behind for the backward run.
pub(super) struct Trace {
    values: Vec<Option<Buffer>>,
    /// Of normalisations, by instruction.
    pub moments: Vec<Vec<Moments>>,
}

impl Trace {
    /// A value that was kept.
    pub fn value(&self, index: usize) -> &[Pixel] {
        self.values[index].as_deref().unwrap_or_default()
    }

    pub fn free(self, scratch: &mut Scratch) {
        self.values.into_iter().flatten().for_each(|buffer| scratch.give(buffer));
    }
}

/// The operands of one instruction.
struct Operands<'a> {
    sources: &'a [Source],
    values: &'a [Option<Buffer>],
    weights: &'a [&'a [f32]],
}

impl<'a> Operands<'a> {
    fn value(&self, slot: usize) -> &'a [Pixel] {
        match self.sources[slot] {
            Source::Value(value) => self.values[value].as_deref().unwrap_or_default(),
            Source::Parameter(_) => &[],
        }
    }

    /// A weight; nothing where the slot is not used.
    fn weight(&self, slot: usize) -> Option<&'a [f32]> {
        match self.sources.get(slot)? {
            Source::Value(_) => None,
            Source::Parameter(id) => Some(self.weights[id.0]),
        }
    }

    fn vector(&self, slot: usize) -> &'a [f32] {
        self.weight(slot).unwrap_or_default()
    }

    /// Gain and shift of a channel of a batch normalisation.
    fn gain_and_shift(&self, channel: usize) -> [f32; 2] {
        [1, 2].map(|slot| self.vector(slot)[channel])
    }

    /// What a batch normalisation normalises `x`, one channel, with. Running statistics may be absent where they are
    /// measured.
    fn moments(
        &self,
        channel: usize,
        x: &[Pixel],
        plane: usize,
        epsilon: f32,
        statistics: &NormStatistics,
    ) -> Moments {
        match statistics {
            NormStatistics::Running => {
                let [mean, variance] = [3, 4].map(|slot| Pixel::splat(self.vector(slot)[channel]));
                Moments::new(mean, variance, epsilon)
            }
            NormStatistics::Measured { rows } => Moments::measure(x, plane, rows, epsilon),
        }
    }
}

impl Program {
    /// Computes all values; keeps them all, or only the result.
    pub(super) fn forward(
        &self,
        weights: &[&[f32]],
        images: Images,
        statistics: &NormStatistics,
        keep: bool,
        scratch: &mut Scratch,
    ) -> Trace {
        let batch = images.batch;
        assert_eq!([images.channels, images.height, images.width], self.extents[0]);
        assert_eq!(images.data.len(), batch * self.extents[0].iter().product::<usize>());
        if let NormStatistics::Measured { rows } = statistics {
            assert!(rows.start <= rows.end && rows.end <= batch, "rows {rows:?} of {batch}");
        }
        let length = |value: usize| self.extents[value][0] * self.row(value, batch);
        let mut values: Vec<Option<Buffer>> = vec![None; self.extents.len()];
        let mut input = scratch.take(length(0));
        pixel::gather(images.data, batch, images.channels, &mut input);
        values[0] = Some(input);
        let mut moments = Vec::with_capacity(self.instructions.len());
        for (index, instruction) in self.instructions.iter().enumerate() {
            let overwritten = self.overwritten(index).filter(|_| !keep);
            let taken = overwritten.and_then(|value| values[value].take());
            let operands = Operands { sources: &instruction.sources, values: &values, weights };
            let mut out;
            moments.push(if let Some(operand) = taken {
                out = operand;
                self.run_in_place(index, &operands, batch, statistics, &mut out)
            } else {
                out = scratch.take(length(instruction.output));
                self.run(index, &operands, batch, statistics, &mut out, scratch)
            });
            values[instruction.output] = Some(out);
            for source in instruction.sources.iter().filter(|_| !keep) {
                if let Source::Value(value) = source
                    && self.last_use[*value] == index
                    && let Some(done) = values[*value].take()
                {
                    scratch.give(done);
                }
            }
        }
        Trace { values, moments }
    }

    /// Runs one instruction; returns the moments of a normalisation.
    fn run(
        &self,
        index: usize,
        operands: &Operands,
        batch: usize,
        statistics: &NormStatistics,
        out: &mut [Pixel],
        scratch: &mut Scratch,
    ) -> Vec<Moments> {
        let instruction = &self.instructions[index];
        let x = operands.value(0);
        match &instruction.step {
            Step::Conv2d { .. } => {
                if let Some(shape) = self.conv_shape(index, batch) {
                    let bias = operands.weight(2);
                    conv::forward(&shape, x, operands.vector(1), bias, out, scratch);
                }
            }
            &Step::BatchNorm { epsilon } => {
                return self.batch_norm(instruction, operands, epsilon, batch, statistics, out);
            }
            &Step::GroupNorm { groups, epsilon } => {
                let shape = self.group_shape(instruction, batch, groups);
                let (gain, shift) = (operands.vector(1), operands.vector(2));
                let activation = instruction.activation;
                return norm::group_forward(shape, activation, x, gain, shift, epsilon, out);
            }
            &Step::LayerNorm { epsilon } => {
                let (gain, shift) = (operands.vector(1), operands.vector(2));
                return layer_norm::forward(x, gain, shift, epsilon, out);
            }
            &Step::Activation(activation) => activation::apply(activation, flat(x), flat_mut(out)),
            &Step::Scale { factor, offset } => {
                affine(x, Pixel::splat(factor), Pixel::splat(offset), out);
            }
            Step::Add | Step::Mul => self.binary(instruction, operands, batch, out),
            Step::Concat { .. } => {
                let mut start = 0;
                for slot in 0..instruction.sources.len() {
                    let part = operands.value(slot);
                    out[start..start + part.len()].copy_from_slice(part);
                    start += part.len();
                }
            }
            &Step::MaxPool { kernel, stride, pads } => {
                pool::max_forward(&self.sliding(instruction, kernel, stride, pads), x, out);
            }
            &Step::AveragePool { kernel, stride, pads, count_include_pad } => {
                let shape = self.sliding(instruction, kernel, stride, pads);
                pool::average_forward(&shape, count_include_pad, x, out);
            }
            Step::AdaptivePool => {
                let shape = self.pool_shape(instruction, Windows::Adaptive);
                pool::average_forward(&shape, false, x, out);
            }
            Step::Mean { .. } => pool::mean_forward(self.input_plane(instruction), x, out),
            Step::GlobalMaxPool => pool::global_max_forward(self.input_plane(instruction), x, out),
            Step::Reshape => {
                if let Places::Gather(map) = &instruction.places {
                    gather::forward(map, blocks(batch), x, out);
                }
            }
            Step::MatMul => {
                if let Places::Product(product) = &instruction.places {
                    out.fill(Pixel::ZERO);
                    product.forward(blocks(batch), x, operands.value(1), out);
                }
            }
            Step::Softmax { .. } => {
                if let Some(shape) = self.axis_shape(instruction, batch) {
                    softmax::forward_shared(shape, x, out);
                }
            }
            &Step::Linear { out_in } => {
                let columns = blocks(batch) * IMAGES * self.plane(instruction.output);
                let (inputs, outputs) = (x.len() * IMAGES / columns, out.len() * IMAGES / columns);
                let weight = linear_view(operands.vector(1), out_in, inputs, outputs);
                let x = View::rows(flat(x), columns);
                let out = flat_mut(out);
                multiply_shared([outputs, columns, inputs], weight, x, out);
                for (row, bias) in out.chunks_exact_mut(columns).zip(operands.vector(2)) {
                    row.iter_mut().for_each(|value| *value += bias);
                }
            }
            // What lowering leaves out.
            Step::Identity | Step::View { .. } | Step::Split { .. } | Step::Sub => {
                out.copy_from_slice(x);
            }
        }
        Vec::new()
    }

    /// The value that the result of an instruction may lie over: the first operand of one that works pixel by pixel,
    /// where nothing reads it later.
    fn overwritten(&self, index: usize) -> Option<usize> {
        let Instruction { step, sources, output, .. } = &self.instructions[index];
        let [Source::Value(first), further @ ..] = sources.as_slice() else { return None };
        let by_pixel = match step {
            Step::Activation(_) | Step::Scale { .. } | Step::BatchNorm { .. } => true,
            Step::Add | Step::Mul => {
                matches!(further, [Source::Value(other)] if other != first
                    && self.extents[*other] == self.extents[*output])
            }
            _ => false,
        };
        let over = by_pixel && self.last_use[*first] == index;
        (over && self.extents[*first] == self.extents[*output]).then_some(*first)
    }

    /// Runs an instruction over its first operand; see [`Self::overwritten`].
    fn run_in_place(
        &self,
        index: usize,
        operands: &Operands,
        batch: usize,
        statistics: &NormStatistics,
        x: &mut [Pixel],
    ) -> Vec<Moments> {
        let instruction = &self.instructions[index];
        match &instruction.step {
            &Step::BatchNorm { epsilon } => {
                let (row, plane) =
                    (self.row(instruction.output, batch), self.plane(instruction.output));
                let run = |(channel, x): (usize, &mut [Pixel])| {
                    let moments = operands.moments(channel, x, plane, epsilon, statistics);
                    let affine = operands.gain_and_shift(channel);
                    let activation = instruction.activation;
                    by_strips(x, |x, out| {
                        norm::channel_forward(activation, x, moments, affine, out);
                    });
                    moments
                };
                return x.chunks_exact_mut(row).enumerate().map(run).collect();
            }
            &Step::Activation(activation) => {
                by_strips(x, |x, out| activation::apply(activation, flat(x), flat_mut(out)));
            }
            &Step::Scale { factor, offset } => {
                let [factor, offset] = [factor, offset].map(Pixel::splat);
                by_strips(x, |x, out| affine(x, factor, offset, out));
            }
            Step::Add => accumulate(flat(operands.value(1)), flat_mut(x)),
            // A product; `overwritten` names no other steps.
            _ => {
                let mut others = operands.value(1).chunks(STRIP);
                by_strips(x, |x, out| {
                    product(flat(x), flat(others.next().unwrap_or_default()), flat_mut(out));
                });
            }
        }
        Vec::new()
    }

    fn batch_norm(
        &self,
        instruction: &Instruction,
        operands: &Operands,
        epsilon: f32,
        batch: usize,
        statistics: &NormStatistics,
        out: &mut [Pixel],
    ) -> Vec<Moments> {
        let (row, plane) = (self.row(instruction.output, batch), self.plane(instruction.output));
        let rows = operands.value(0).chunks_exact(row).zip(out.chunks_exact_mut(row));
        rows.enumerate()
            .map(|(channel, (x, out))| {
                let moments = operands.moments(channel, x, plane, epsilon, statistics);
                let affine = operands.gain_and_shift(channel);
                norm::channel_forward(instruction.activation, x, moments, affine, out);
                moments
            })
            .collect()
    }

    /// Sum or product of equal shapes, of one with a gate of one pixel per plane, or with a weight.
    fn binary(
        &self,
        instruction: &Instruction,
        operands: &Operands,
        batch: usize,
        out: &mut [Pixel],
    ) {
        let sum = instruction.step == Step::Add;
        let a = operands.value(0);
        if let Places::Weights(map) = &instruction.places {
            return broadcast::forward(map, !sum, blocks(batch), a, operands.vector(1), out);
        }
        let b = operands.value(1);
        if a.len() == b.len() {
            let run = if sum { add } else { product };
            return run(flat(a), flat(b), flat_mut(out));
        }
        let plane = self.plane(instruction.output);
        let (large, small) = if a.len() > b.len() { (a, b) } else { (b, a) };
        for ((x, y), out) in large.chunks_exact(plane).zip(small).zip(out.chunks_exact_mut(plane)) {
            let (scale, offset) = if sum { (Pixel::splat(1.0), *y) } else { (*y, Pixel::ZERO) };
            affine(x, scale, offset, out);
        }
    }
}

/// A weight as an `outputs × inputs` matrix.
pub(super) fn linear_view(weight: &[f32], out_in: bool, inputs: usize, outputs: usize) -> View<'_> {
    if out_in { View::rows(weight, inputs) } else { View::transposed(weight, outputs) }
}

/// Pixels that are copied at a time where a result lies over its operand: some that stay in the innermost cache.
const STRIP: usize = 128;

/// Replaces values by what `run` makes of them, strip by strip.
fn by_strips(values: &mut [Pixel], mut run: impl FnMut(&[Pixel], &mut [Pixel])) {
    let mut copy = [Pixel::ZERO; STRIP];
    for strip in values.chunks_mut(STRIP) {
        let copy = &mut copy[..strip.len()];
        copy.copy_from_slice(strip);
        run(copy, strip);
    }
}
