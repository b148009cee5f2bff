//! Running a program backward.

use crate::{
    execute::lower::{Instruction, Places, Source},
    kernels::{
        Buffer, Pixel, Scratch, Step, activation, broadcast, conv,
        elementwise::{
            accumulate, accumulate_affine, accumulate_product, affine, dots, product, sum, sums,
        },
        gather,
        gemm::{View, multiply},
        layer_norm, norm,
        pixel::{IMAGES, blocks, flat, flat_mut},
        pool::{self, Windows},
        softmax,
    },
};

use super::{
    Gradients, NormStatistics, Program,
    forward::{Trace, linear_view},
};

/// One backward run.
pub(super) struct Backward<'a> {
    pub program: &'a Program,
    pub weights: &'a [&'a [f32]],
    pub batch: usize,
    pub statistics: &'a NormStatistics,
    pub trace: &'a Trace,
    pub wants_images: bool,
}

/// Gradients as far as they are known.
struct Pending {
    values: Vec<Option<Buffer>>,
    parameters: Vec<Vec<f32>>,
}

/// Where a gradient goes: a buffer, and whether it holds terms already.
struct Target {
    value: usize,
    buffer: Buffer,
    holds: bool,
}

impl Pending {
    /// Adds a gradient to that of a value.
    fn add(&mut self, value: usize, gradient: Buffer, scratch: &mut Scratch) {
        match &mut self.values[value] {
            Some(sum) => {
                accumulate(flat(&gradient), flat_mut(sum));
                scratch.give(gradient);
            }
            none => *none = Some(gradient),
        }
    }

    /// Adds a gradient that is needed elsewhere too.
    fn add_copy(&mut self, value: usize, gradient: &[Pixel], scratch: &mut Scratch) {
        match &mut self.values[value] {
            Some(sum) => accumulate(flat(gradient), flat_mut(sum)),
            none => {
                let mut copy = scratch.take(gradient.len());
                copy.copy_from_slice(gradient);
                *none = Some(copy);
            }
        }
    }

    /// The gradient of a value, to be written or added to and then closed.
    fn open(&mut self, value: usize, length: usize, scratch: &mut Scratch) -> Target {
        match self.values[value].take() {
            Some(buffer) => Target { value, buffer, holds: true },
            None => Target { value, buffer: scratch.take(length), holds: false },
        }
    }

    /// The same, zero where there was nothing.
    fn open_sum(&mut self, value: usize, length: usize, scratch: &mut Scratch) -> Target {
        let mut target = self.open(value, length, scratch);
        if !target.holds {
            target.buffer.fill(Pixel::ZERO);
        }
        target
    }

    fn close(&mut self, target: Target) {
        self.values[target.value] = Some(target.buffer);
    }

    /// Adds the gradient of a parameter, which may be used more than once.
    fn parameter(&mut self, source: Source, gradient: Vec<f32>) {
        let Source::Parameter(id) = source else { return };
        let sum = &mut self.parameters[id.0];
        if sum.is_empty() {
            *sum = gradient;
        } else {
            accumulate(&gradient, sum);
        }
    }
}

impl Backward<'_> {
    /// From the gradient of the result to all others.
    pub fn go(&self, gradient: Buffer, scratch: &mut Scratch) -> Gradients {
        let program = self.program;
        let mut pending = Pending {
            values: vec![None; program.extents.len()],
            parameters: vec![Vec::new(); self.weights.len()],
        };
        pending.values[program.result] = Some(gradient);
        for (index, instruction) in program.instructions.iter().enumerate().rev() {
            if let Some(gradient) = pending.values[instruction.output].take()
                && let Source::Value(first) = instruction.sources[0]
            {
                self.step(index, first, gradient, &mut pending, scratch);
            }
        }
        let mut images = None;
        if let Some(gradient) = pending.values[0].take() {
            images = self.wants_images.then(|| program.read(&gradient, 0, self.batch));
            scratch.give(gradient);
        }
        Gradients { parameters: pending.parameters.into_iter().collect(), images }
    }

    fn weight(&self, source: Option<&Source>) -> &[f32] {
        match source {
            Some(Source::Parameter(id)) => self.weights[id.0],
            _ => &[],
        }
    }

    /// Differentiates one instruction, whose first operand is the value `first`.
    fn step(
        &self,
        index: usize,
        first: usize,
        mut gradient: Buffer,
        pending: &mut Pending,
        scratch: &mut Scratch,
    ) {
        let (program, batch) = (self.program, self.batch);
        let instruction = &program.instructions[index];
        let sources = instruction.sources.as_slice();
        let x = self.trace.value(first);
        match &instruction.step {
            Step::Conv2d { .. } => self.conv(index, first, &gradient, pending, scratch),
            Step::BatchNorm { .. } => {
                self.batch_norm(index, x, &mut gradient, pending);
                return pending.add(first, gradient, scratch);
            }
            &Step::GroupNorm { groups, .. } => {
                let shape = program.group_shape(instruction, batch, groups);
                let (gain, shift) = (self.weight(sources.get(1)), self.weight(sources.get(2)));
                let (mut gains, mut shifts) = (vec![0.0; gain.len()], vec![0.0; gain.len()]);
                norm::group_backward(
                    shape,
                    instruction.activation,
                    x,
                    &self.trace.moments[index],
                    gain,
                    shift,
                    &mut gradient,
                    &mut gains,
                    &mut shifts,
                );
                pending.parameter(sources[1], gains);
                pending.parameter(sources[2], shifts);
                return pending.add(first, gradient, scratch);
            }
            Step::LayerNorm { .. } => {
                let (gain, shift) = (self.weight(sources.get(1)), self.weight(sources.get(2)));
                let (mut gains, mut shifts) = (vec![0.0; gain.len()], vec![0.0; shift.len()]);
                let moments = &self.trace.moments[index];
                layer_norm::backward(x, moments, gain, &mut gradient, &mut gains, &mut shifts);
                pending.parameter(sources[1], gains);
                if let Some(&shift) = sources.get(2) {
                    pending.parameter(shift, shifts);
                }
                return pending.add(first, gradient, scratch);
            }
            &Step::Scale { factor, .. } => {
                flat_mut(&mut gradient).iter_mut().for_each(|value| *value *= factor);
                return pending.add(first, gradient, scratch);
            }
            Step::Softmax { .. } => {
                if let Some(shape) = program.axis_shape(instruction, batch) {
                    softmax::backward(shape, self.trace.value(instruction.output), &mut gradient);
                }
                return pending.add(first, gradient, scratch);
            }
            Step::MatMul => self.product(instruction, &gradient, pending, scratch),
            Step::Reshape => {
                let mut target = pending.open_sum(first, x.len(), scratch);
                if let Places::Gather(map) = &instruction.places {
                    gather::backward(map, blocks(batch), &gradient, &mut target.buffer);
                }
                pending.close(target);
            }
            &Step::Activation(activation) => {
                activation::apply_backward(activation, flat(x), flat_mut(&mut gradient));
                return pending.add(first, gradient, scratch);
            }
            Step::Add | Step::Mul => {
                if let Places::Weights(map) = &instruction.places {
                    let weight = self.weight(sources.get(1));
                    let mut weights = vec![0.0; weight.len()];
                    let (blocks, multiplies) = (blocks(batch), instruction.step == Step::Mul);
                    broadcast::backward(
                        map,
                        multiplies,
                        blocks,
                        x,
                        weight,
                        &mut gradient,
                        &mut weights,
                    );
                    pending.parameter(sources[1], weights);
                    return pending.add(first, gradient, scratch);
                }
                return self.binary(instruction, gradient, pending, scratch);
            }
            Step::Concat { .. } => {
                let mut start = 0;
                for &source in sources {
                    let Source::Value(value) = source else { continue };
                    let length = self.trace.value(value).len();
                    pending.add_copy(value, &gradient[start..start + length], scratch);
                    start += length;
                }
            }
            &Step::MaxPool { kernel, stride, pads } => {
                let mut target = pending.open_sum(first, x.len(), scratch);
                let shape = program.sliding(instruction, kernel, stride, pads);
                let out = self.trace.value(instruction.output);
                pool::max_backward(&shape, x, out, &gradient, &mut target.buffer);
                pending.close(target);
            }
            &Step::AveragePool { kernel, stride, pads, count_include_pad } => {
                let mut target = pending.open_sum(first, x.len(), scratch);
                let shape = program.sliding(instruction, kernel, stride, pads);
                pool::average_backward(&shape, count_include_pad, &gradient, &mut target.buffer);
                pending.close(target);
            }
            Step::AdaptivePool => {
                let mut target = pending.open_sum(first, x.len(), scratch);
                let shape = program.pool_shape(instruction, Windows::Adaptive);
                pool::average_backward(&shape, false, &gradient, &mut target.buffer);
                pending.close(target);
            }
            Step::Mean { .. } => {
                let mut target = pending.open_sum(first, x.len(), scratch);
                let plane = program.input_plane(instruction);
                pool::mean_backward(plane, &gradient, &mut target.buffer);
                pending.close(target);
            }
            Step::GlobalMaxPool => {
                let mut target = pending.open_sum(first, x.len(), scratch);
                let plane = program.input_plane(instruction);
                let out = self.trace.value(instruction.output);
                pool::global_max_backward(plane, x, out, &gradient, &mut target.buffer);
                pending.close(target);
            }
            &Step::Linear { out_in } => {
                self.linear(instruction, first, out_in, &gradient, pending, scratch);
            }
            // What lowering leaves out.
            Step::Identity | Step::View { .. } | Step::Split { .. } | Step::Sub => {
                return pending.add(first, gradient, scratch);
            }
        }
        scratch.give(gradient);
    }

    fn conv(
        &self,
        index: usize,
        first: usize,
        gradient: &[Pixel],
        pending: &mut Pending,
        scratch: &mut Scratch,
    ) {
        let Some(shape) = self.program.conv_shape(index, self.batch) else { return };
        let sources = self.program.instructions[index].sources.as_slice();
        let (x, weight) = (self.trace.value(first), self.weight(sources.get(1)));
        let mut weights = vec![0.0; weight.len()];
        let mut bias = sources.get(2).map(|source| vec![0.0; self.weight(Some(source)).len()]);
        conv::backward_weight(&shape, x, gradient, &mut weights, bias.as_deref_mut(), scratch);
        pending.parameter(sources[1], weights);
        if let Some(bias) = bias {
            pending.parameter(sources[2], bias);
        }
        if first != 0 || self.wants_images {
            let mut target = pending.open(first, x.len(), scratch);
            let (holds, out) = (target.holds, &mut target.buffer);
            conv::backward_input(&shape, weight, gradient, holds, out, scratch);
            pending.close(target);
        }
    }

    /// Leaves the gradient of the input in `gradient`.
    fn batch_norm(&self, index: usize, x: &[Pixel], gradient: &mut [Pixel], pending: &mut Pending) {
        let instruction = &self.program.instructions[index];
        let sources = instruction.sources.as_slice();
        let row = self.program.row(instruction.output, self.batch);
        let measured = match self.statistics {
            NormStatistics::Running => None,
            NormStatistics::Measured { rows } => Some(rows),
        };
        let (gain, shift) = (self.weight(sources.get(1)), self.weight(sources.get(2)));
        let (mut gains, mut shifts) = (vec![0.0; gain.len()], vec![0.0; gain.len()]);
        let rows = gradient.chunks_exact_mut(row).zip(x.chunks_exact(row));
        for (channel, (gradient, x)) in rows.enumerate() {
            [gains[channel], shifts[channel]] = norm::channel_backward(
                instruction.activation,
                x,
                self.trace.moments[index][channel],
                [gain[channel], shift[channel]],
                self.program.plane(instruction.output),
                measured,
                gradient,
            );
        }
        pending.parameter(sources[1], gains);
        pending.parameter(sources[2], shifts);
    }

    fn linear(
        &self,
        instruction: &Instruction,
        first: usize,
        out_in: bool,
        gradient: &[Pixel],
        pending: &mut Pending,
        scratch: &mut Scratch,
    ) {
        let columns = blocks(self.batch) * IMAGES * self.program.plane(instruction.output);
        let sources = instruction.sources.as_slice();
        let (x, gradient) = (self.trace.value(first), flat(gradient));
        let (inputs, outputs) = (x.len() * IMAGES / columns, gradient.len() / columns);
        let weight = self.weight(sources.get(1));
        let mut weights = vec![0.0; weight.len()];
        let rows = View::rows(gradient, columns);
        if out_in {
            let x = View::transposed(flat(x), columns);
            multiply([outputs, inputs, columns], rows, x, &mut weights, inputs, false);
        } else {
            let (x, rows) = (View::rows(flat(x), columns), View::transposed(gradient, columns));
            multiply([inputs, outputs, columns], x, rows, &mut weights, outputs, false);
        }
        pending.parameter(sources[1], weights);
        if let Some(&bias) = sources.get(2) {
            pending.parameter(bias, gradient.chunks_exact(columns).map(sum).collect());
        }
        if first != 0 || self.wants_images {
            let mut target = pending.open(first, x.len(), scratch);
            let (holds, out) = (target.holds, flat_mut(&mut target.buffer));
            let weight = linear_view(weight, !out_in, outputs, inputs);
            multiply([inputs, columns, outputs], weight, rows, out, columns, holds);
            pending.close(target);
        }
    }

    /// Adds to the gradients of both operands of a product of matrices.
    fn product(
        &self,
        instruction: &Instruction,
        gradient: &[Pixel],
        pending: &mut Pending,
        scratch: &mut Scratch,
    ) {
        let (&[Source::Value(a), Source::Value(b)], Places::Product(product)) =
            (instruction.sources.as_slice(), &instruction.places)
        else {
            return;
        };
        let (left, right) = (self.trace.value(a), self.trace.value(b));
        let blocks = blocks(self.batch);
        let mut target = pending.open_sum(a, left.len(), scratch);
        product.backward_left(blocks, right, gradient, &mut target.buffer);
        pending.close(target);
        let mut target = pending.open_sum(b, right.len(), scratch);
        product.backward_right(blocks, left, gradient, &mut target.buffer);
        pending.close(target);
    }

    /// Sums and products, of equal shapes or with a gate of one pixel per plane.
    fn binary(
        &self,
        instruction: &Instruction,
        gradient: Buffer,
        pending: &mut Pending,
        scratch: &mut Scratch,
    ) {
        let multiplies = instruction.step == Step::Mul;
        let plane = self.program.plane(instruction.output).max(1);
        for (slot, other) in [(1, 0), (0, 1)] {
            let (Source::Value(own), Source::Value(other)) =
                (instruction.sources[slot], instruction.sources[other])
            else {
                continue;
            };
            let (length, other) = (self.trace.value(own).len(), self.trace.value(other));
            if !multiplies && length == gradient.len() {
                if slot == 0 {
                    return pending.add(own, gradient, scratch);
                }
                pending.add_copy(own, &gradient, scratch);
                continue;
            }
            let mut target = pending.open(own, length, scratch);
            let (holds, out) = (target.holds, &mut *target.buffer);
            if length < gradient.len() {
                for (index, gradient) in gradient.chunks_exact(plane).enumerate() {
                    let term = match multiplies {
                        true => dots(gradient, &other[index * plane..]),
                        false => sums(gradient),
                    };
                    let before = if holds { out[index] } else { Pixel::ZERO };
                    out[index] = before.zip(term, |before, term| before + term);
                }
            } else if other.len() == length {
                let run = if holds { accumulate_product } else { product };
                run(flat(&gradient), flat(other), flat_mut(out));
            } else {
                let run = if holds { accumulate_affine } else { affine };
                let planes = gradient.chunks_exact(plane).zip(out.chunks_exact_mut(plane));
                for ((gradient, out), gate) in planes.zip(other) {
                    run(gradient, *gate, Pixel::ZERO, out);
                }
            }
            pending.close(target);
        }
        scratch.give(gradient);
    }
}
