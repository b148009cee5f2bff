//! A network as a list of kernel instructions, run forward and backward on one core.

use std::ops::Range;

use crate::{
    graph::{Architecture, ParameterId},
    kernels::{
        Scratch, Step, activation,
        conv::{self, ConvShape},
        depthwise, elementwise,
        gemm::{View, multiply},
        norm::{self, GroupShape, Moments},
        pool::{self, PoolShape},
    },
    ops::Registry,
};

use super::fuse::{Extent, Instruction, Source, lower};

/// A part of the graph that has no kernel; run it with [`super::execute`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no fast kernel for {0}")]
pub struct NotLowered(pub String);

/// A batch of normalised images, NCHW.
#[derive(Clone, Copy, Debug)]
pub struct Images<'a> {
    /// Images.
    pub batch: usize,
    /// Channels.
    pub channels: usize,
    /// Height.
    pub height: usize,
    /// Width.
    pub width: usize,
    /// Values, row-major.
    pub data: &'a [f32],
}

/// Where batch normalisations take their statistics from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NormStatistics {
    /// The running mean and variance among the weights.
    Running,
    /// These rows of the batch, measured and applied to all rows; gradients flow through the
    /// statistics. All rows: ordinary training mode (with the biased variance).
    Measured {
        /// Rows of the batch.
        rows: Range<usize>,
    },
}

/// Gradients of a loss.
#[derive(Clone, Debug)]
pub struct Gradients {
    /// By parameter; empty for those the network does not differentiate.
    pub parameters: Vec<Vec<f32>>,
    /// With respect to the images, NCHW, if asked for.
    pub images: Option<Vec<f32>>,
}

/// Statistics of one batch normalisation.
#[derive(Clone, Debug, PartialEq)]
pub struct MeasuredStatistics {
    /// The running-mean parameter.
    pub mean: ParameterId,
    /// The running-variance parameter.
    pub variance: ParameterId,
    /// Mean of each channel.
    pub means: Vec<f32>,
    /// Biased variance of each channel.
    pub variances: Vec<f32>,
}

/// A compiled network. Weights are given as one slice per parameter of the architecture, in their
/// stored layout; the batch may have any size.
#[derive(Debug)]
pub struct Program {
    instructions: Vec<Instruction>,
    extents: Vec<Extent>,
    result: usize,
    /// Instruction after which a value is not read again (in a forward run).
    last_use: Vec<usize>,
    lengths: Vec<usize>,
}

/// What a forward run leaves behind for the backward run.
struct Trace {
    values: Vec<Option<Vec<f32>>>,
    moments: Vec<Vec<Moments>>,
}

impl Program {
    /// Compiles a resolved architecture.
    pub fn compile(architecture: &Architecture, registry: &Registry) -> Result<Self, NotLowered> {
        let lowered = lower(architecture, registry)?;
        let mut last_use = vec![0; lowered.extents.len()];
        for (index, instruction) in lowered.instructions.iter().enumerate() {
            for source in &instruction.sources {
                if let Source::Value(value) = source {
                    last_use[*value] = index;
                }
            }
        }
        last_use[lowered.result] = usize::MAX;
        Ok(Self {
            instructions: lowered.instructions,
            extents: lowered.extents,
            result: lowered.result,
            last_use,
            lengths: architecture.parameters.iter().map(|p| p.len().unwrap_or(0)).collect(),
        })
    }

    /// Values per row of the result.
    pub fn classes(&self) -> usize {
        self.extents[self.result].iter().product()
    }

    /// Logits, `[batch, classes]` row-major.
    ///
    /// # Panics
    /// If images or weights do not have the sizes of the architecture; here and in the other runs.
    pub fn logits(
        &self,
        weights: &[&[f32]],
        images: Images,
        statistics: &NormStatistics,
        scratch: &mut Scratch,
    ) -> Vec<f32> {
        let mut trace = self.forward(weights, images, statistics, false, scratch);
        let result = trace.values[self.result].take().unwrap_or_default();
        let logits = transposed(&result, self.classes(), images.batch);
        scratch.give(result);
        trace.free(scratch);
        logits
    }

    /// Runs forward and backward. `loss` is given the logits and fills their gradient.
    pub fn gradients(
        &self,
        weights: &[&[f32]],
        images: Images,
        statistics: &NormStatistics,
        loss: &mut dyn FnMut(&[f32], &mut [f32]) -> f32,
        image_gradient: bool,
        scratch: &mut Scratch,
    ) -> (f32, Gradients) {
        let trace = self.forward(weights, images, statistics, true, scratch);
        let result = trace.values[self.result].as_deref().unwrap_or_default();
        let logits = transposed(result, self.classes(), images.batch);
        let mut gradient = vec![0.0; logits.len()];
        let value = loss(&logits, &mut gradient);
        let gradient = transposed(&gradient, images.batch, self.classes());
        let run = Backward {
            program: self,
            weights,
            batch: images.batch,
            statistics,
            trace: &trace,
            wants_images: image_gradient,
        };
        let gradients = run.go(gradient, scratch);
        trace.free(scratch);
        (value, gradients)
    }

    /// Measures the statistics of every batch normalisation on the images, each normalised by its
    /// own statistics on the way.
    pub fn statistics(
        &self,
        weights: &[&[f32]],
        images: Images,
        scratch: &mut Scratch,
    ) -> Vec<MeasuredStatistics> {
        let all = NormStatistics::Measured { rows: 0..images.batch };
        let trace = self.forward(weights, images, &all, false, scratch);
        let measured = self.instructions.iter().zip(&trace.moments).filter_map(|(of, moments)| {
            match (&of.step, of.sources.as_slice()) {
                (
                    Step::BatchNorm { .. },
                    [_, _, _, Source::Parameter(mean), Source::Parameter(variance)],
                ) => Some(MeasuredStatistics {
                    mean: *mean,
                    variance: *variance,
                    means: moments.iter().map(|moments| moments.mean).collect(),
                    variances: moments.iter().map(|moments| moments.variance).collect(),
                }),
                _ => None,
            }
        });
        let measured = measured.collect();
        trace.free(scratch);
        measured
    }

    fn forward(
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
        let mut values: Vec<Option<Vec<f32>>> = vec![None; self.extents.len()];
        let mut input = scratch.take(images.data.len());
        swap_outer(images.data, batch, images.channels, &mut input);
        values[0] = Some(input);
        let mut moments = Vec::with_capacity(self.instructions.len());
        for (index, instruction) in self.instructions.iter().enumerate() {
            let mut out = scratch.take(batch * self.extents[instruction.output].iter().product::<usize>());
            let operand = |slot: usize| match instruction.sources[slot] {
                Source::Value(value) => values[value].as_deref().unwrap_or_default(),
                Source::Parameter(id) => weights[id.0],
            };
            moments.push(self.run(instruction, &operand, batch, statistics, &mut out, scratch));
            values[instruction.output] = Some(out);
            if !keep {
                for source in &instruction.sources {
                    if let Source::Value(value) = source
                        && self.last_use[*value] == index
                        && let Some(done) = values[*value].take()
                    {
                        scratch.give(done);
                    }
                }
            }
        }
        Trace { values, moments }
    }

    /// Runs one instruction; returns the moments of a normalisation.
    fn run<'a>(
        &self,
        instruction: &Instruction,
        operand: &dyn Fn(usize) -> &'a [f32],
        batch: usize,
        statistics: &NormStatistics,
        out: &mut [f32],
        scratch: &mut Scratch,
    ) -> Vec<Moments> {
        let output = self.extents[instruction.output];
        let x = operand(0);
        match &instruction.step {
            Step::Conv2d { .. } => {
                let shape = self.conv_shape(instruction, batch);
                let bias = (instruction.sources.len() > 2).then(|| operand(2));
                match is_depthwise(&shape) {
                    true => depthwise::forward(&shape, x, operand(1), bias, out, scratch),
                    false => conv::forward(&shape, x, operand(1), bias, out, scratch),
                }
            }
            Step::BatchNorm { epsilon } => {
                let row = batch * output[1] * output[2];
                let (gain, shift) = (operand(1), operand(2));
                let measure = |channel: usize, x: &[f32]| match statistics {
                    NormStatistics::Running => {
                        Moments::new(operand(3)[channel], operand(4)[channel], *epsilon)
                    }
                    NormStatistics::Measured { rows } => {
                        Moments::measure(&x[pixels_of(rows, output)], *epsilon)
                    }
                };
                return x
                    .chunks_exact(row)
                    .zip(out.chunks_exact_mut(row))
                    .enumerate()
                    .map(|(channel, (x, out))| {
                        let moments = measure(channel, x);
                        let affine = [gain[channel], shift[channel]];
                        norm::channel_forward(instruction.activation, x, moments, affine, out);
                        moments
                    })
                    .collect();
            }
            Step::GroupNorm { groups, epsilon } => {
                let shape = group_shape(output, batch, *groups);
                let (gain, shift) = (operand(1), operand(2));
                let activation = instruction.activation;
                return norm::group_forward(shape, activation, x, gain, shift, *epsilon, out);
            }
            Step::Activation(activation) => activation::affine(Some(*activation), x, 1.0, 0.0, out),
            Step::Add => self.binary(instruction, operand, batch, out, |x, y, out| {
                for ((out, x), y) in out.iter_mut().zip(x).zip(y) {
                    *out = x + y;
                }
            }, |x, y, out| out.iter_mut().zip(x).for_each(|(out, x)| *out = x + y)),
            Step::Mul => self.binary(instruction, operand, batch, out, elementwise::product, |x, y, out| {
                elementwise::scaled(y, x, out);
            }),
            Step::Concat => {
                let mut start = 0;
                for slot in 0..instruction.sources.len() {
                    let part = operand(slot);
                    out[start..start + part.len()].copy_from_slice(part);
                    start += part.len();
                }
            }
            Step::MaxPool { .. } => pool::max_forward(&self.pool_shape(instruction), x, out),
            Step::AveragePool { count_include_pad, .. } => {
                pool::average_forward(&self.pool_shape(instruction), *count_include_pad, x, out);
            }
            Step::GlobalAveragePool => pool::mean_forward(self.plane(instruction), x, out),
            Step::GlobalMaxPool => {
                for (out, x) in out.iter_mut().zip(x.chunks_exact(self.plane(instruction))) {
                    *out = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                }
            }
            Step::Flatten => {
                let plane = self.plane(instruction);
                for (out, x) in out.chunks_exact_mut(batch * plane).zip(x.chunks_exact(batch * plane)) {
                    transpose(x, batch, plane, out);
                }
            }
            Step::Linear { out_in } => {
                let [inputs, outputs] = self.linear_shape(instruction);
                let weight = linear_view(operand(1), *out_in, inputs, outputs);
                multiply([outputs, batch, inputs], weight, View::rows(x, batch), out, batch, false);
                if instruction.sources.len() > 2 {
                    for (row, bias) in out.chunks_exact_mut(batch).zip(operand(2)) {
                        row.iter_mut().for_each(|value| *value += bias);
                    }
                }
            }
            Step::Identity => out.copy_from_slice(x),
        }
        Vec::new()
    }

    /// Applies `same` to equal shapes, or `gate` plane by plane where one operand has one pixel.
    fn binary<'a>(
        &self,
        instruction: &Instruction,
        operand: &dyn Fn(usize) -> &'a [f32],
        _batch: usize,
        out: &mut [f32],
        same: impl Fn(&[f32], &[f32], &mut [f32]),
        gate: impl Fn(&[f32], f32, &mut [f32]),
    ) {
        let (a, b) = (operand(0), operand(1));
        if a.len() == b.len() {
            return same(a, b, out);
        }
        let plane = self.extents[instruction.output][1..].iter().product();
        let (large, small) = if a.len() > b.len() { (a, b) } else { (b, a) };
        for ((x, y), out) in large.chunks_exact(plane).zip(small).zip(out.chunks_exact_mut(plane)) {
            gate(x, *y, out);
        }
    }

    fn input_extent(&self, instruction: &Instruction) -> Extent {
        match instruction.sources[0] {
            Source::Value(value) => self.extents[value],
            Source::Parameter(_) => [0; 3],
        }
    }

    fn plane(&self, instruction: &Instruction) -> usize {
        self.input_extent(instruction)[1..].iter().product()
    }

    fn linear_shape(&self, instruction: &Instruction) -> [usize; 2] {
        let inputs = self.input_extent(instruction).iter().product();
        [inputs, self.extents[instruction.output].iter().product()]
    }

    fn conv_shape(&self, instruction: &Instruction, batch: usize) -> ConvShape {
        let Step::Conv2d { groups, stride, dilation, pads } = instruction.step else {
            unreachable!("only called for convolutions")
        };
        let (input, output) = (self.input_extent(instruction), self.extents[instruction.output]);
        let kernel = std::array::from_fn(|axis| {
            // The window follows from the extents, whatever the attributes say.
            let Source::Parameter(id) = instruction.sources[1] else { return 1 };
            let taps = self.lengths[id.0] / (output[0] * input[0] / groups).max(1);
            self.window(instruction, taps)[axis]
        });
        ConvShape { batch, input, output, kernel, stride, dilation, pad: [pads[0], pads[1]], groups }
    }

    fn window(&self, instruction: &Instruction, taps: usize) -> [usize; 2] {
        let Step::Conv2d { stride, dilation, pads, .. } = instruction.step else { return [1, 1] };
        let (input, output) = (self.input_extent(instruction), self.extents[instruction.output]);
        (1..=taps)
            .filter(|height| taps.is_multiple_of(*height))
            .map(|height| [height, taps / height])
            .find(|kernel| {
                (0..2).all(|axis| {
                    let reach = dilation[axis] * (kernel[axis] - 1) + 1;
                    let padded = input[axis + 1] + pads[axis] + pads[axis + 2];
                    padded >= reach && (padded - reach) / stride[axis] + 1 == output[axis + 1]
                })
            })
            .unwrap_or([1, taps])
    }

    fn pool_shape(&self, instruction: &Instruction) -> PoolShape {
        let (Step::MaxPool { kernel, stride, pads } | Step::AveragePool { kernel, stride, pads, .. }) =
            instruction.step
        else {
            unreachable!("only called for pools")
        };
        let [_, height, width] = self.input_extent(instruction);
        let [_, out_height, out_width] = self.extents[instruction.output];
        PoolShape {
            input: [height, width],
            output: [out_height, out_width],
            kernel,
            stride,
            pad: [pads[0], pads[1]],
        }
    }
}

impl Trace {
    fn free(self, scratch: &mut Scratch) {
        self.values.into_iter().flatten().for_each(|buffer| scratch.give(buffer));
    }
}

/// One backward run.
struct Backward<'a> {
    program: &'a Program,
    weights: &'a [&'a [f32]],
    batch: usize,
    statistics: &'a NormStatistics,
    trace: &'a Trace,
    wants_images: bool,
}

/// Gradients of the values, as far as they are known.
struct Pending {
    values: Vec<Option<Vec<f32>>>,
    parameters: Vec<Vec<f32>>,
}

impl Pending {
    /// Adds a gradient to that of a value.
    fn add(&mut self, value: usize, gradient: Vec<f32>, scratch: &mut Scratch) {
        match &mut self.values[value] {
            Some(sum) => {
                elementwise::accumulate(&gradient, sum);
                scratch.give(gradient);
            }
            none => *none = Some(gradient),
        }
    }

    /// The gradient of a value so far, to be added to.
    fn open(&mut self, value: usize, length: usize, scratch: &mut Scratch) -> Vec<f32> {
        self.values[value].take().unwrap_or_else(|| scratch.zeros(length))
    }

    /// Adds the gradient of a parameter, which may be used more than once.
    fn parameter(&mut self, source: Source, gradient: Vec<f32>) {
        let Source::Parameter(id) = source else { return };
        let sum = &mut self.parameters[id.0];
        if sum.is_empty() {
            *sum = gradient;
        } else {
            elementwise::accumulate(&gradient, sum);
        }
    }
}

impl Backward<'_> {
    fn go(&self, gradient: Vec<f32>, scratch: &mut Scratch) -> Gradients {
        let program = self.program;
        let mut pending = Pending {
            values: vec![None; program.extents.len()],
            parameters: vec![Vec::new(); self.weights.len()],
        };
        pending.values[program.result] = Some(gradient);
        for (index, instruction) in program.instructions.iter().enumerate().rev() {
            if let Some(gradient) = pending.values[instruction.output].take() {
                self.step(index, instruction, gradient, &mut pending, scratch);
            }
        }
        let [channels, ..] = program.extents[0];
        let images = pending.values[0].take().filter(|_| self.wants_images).map(|gradient| {
            let mut images = vec![0.0; gradient.len()];
            swap_outer(&gradient, channels, self.batch, &mut images);
            scratch.give(gradient);
            images
        });
        Gradients { parameters: pending.parameters, images }
    }

    fn value(&self, source: Source) -> &[f32] {
        match source {
            Source::Value(value) => self.trace.values[value].as_deref().unwrap_or_default(),
            Source::Parameter(id) => self.weights[id.0],
        }
    }

    fn wanted(&self, value: usize) -> bool {
        value != 0 || self.wants_images
    }

    fn step(
        &self,
        index: usize,
        instruction: &Instruction,
        mut gradient: Vec<f32>,
        pending: &mut Pending,
        scratch: &mut Scratch,
    ) {
        let (program, batch) = (self.program, self.batch);
        let sources = instruction.sources.as_slice();
        let Source::Value(first) = sources[0] else { return };
        let x = self.value(sources[0]);
        match &instruction.step {
            Step::Conv2d { .. } => {
                let shape = program.conv_shape(instruction, batch);
                let weight = self.value(sources[1]);
                let mut weight_gradient = vec![0.0; weight.len()];
                let mut bias = sources.get(2).map(|&source| vec![0.0; self.value(source).len()]);
                let mut target =
                    self.wanted(first).then(|| pending.open(first, x.len(), scratch));
                let run = if is_depthwise(&shape) { depthwise::backward } else { conv::backward };
                run(
                    &shape,
                    x,
                    weight,
                    &gradient,
                    &mut weight_gradient,
                    bias.as_deref_mut(),
                    target.as_deref_mut(),
                    scratch,
                );
                pending.parameter(sources[1], weight_gradient);
                if let Some(bias) = bias {
                    pending.parameter(sources[2], bias);
                }
                pending.values[first] = target;
                scratch.give(gradient);
            }
            Step::BatchNorm { .. } => {
                let output = program.extents[instruction.output];
                let row = batch * output[1] * output[2];
                let range = match self.statistics {
                    NormStatistics::Running => None,
                    NormStatistics::Measured { rows } => Some(pixels_of(rows, output)),
                };
                let (gain, shift) = (self.value(sources[1]), self.value(sources[2]));
                let (mut gains, mut shifts) = (vec![0.0; gain.len()], vec![0.0; gain.len()]);
                for (channel, gradient) in gradient.chunks_exact_mut(row).enumerate() {
                    [gains[channel], shifts[channel]] = norm::channel_backward(
                        instruction.activation,
                        &x[channel * row..][..row],
                        self.trace.moments[index][channel],
                        [gain[channel], shift[channel]],
                        range.clone(),
                        gradient,
                    );
                }
                pending.parameter(sources[1], gains);
                pending.parameter(sources[2], shifts);
                pending.add(first, gradient, scratch);
            }
            Step::GroupNorm { groups, .. } => {
                let shape = group_shape(program.extents[instruction.output], batch, *groups);
                let (gain, shift) = (self.value(sources[1]), self.value(sources[2]));
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
                pending.add(first, gradient, scratch);
            }
            Step::Activation(activation) => {
                activation::affine_backward(Some(*activation), x, 1.0, 0.0, &mut gradient);
                pending.add(first, gradient, scratch);
            }
            Step::Add | Step::Mul => self.binary(instruction, gradient, pending, scratch),
            Step::Concat => {
                let mut start = 0;
                for &source in sources {
                    let Source::Value(value) = source else { continue };
                    let length = self.value(source).len();
                    let mut part = scratch.take(length);
                    part.copy_from_slice(&gradient[start..start + length]);
                    pending.add(value, part, scratch);
                    start += length;
                }
                scratch.give(gradient);
            }
            Step::MaxPool { .. } => {
                let mut target = pending.open(first, x.len(), scratch);
                let out = self.value(Source::Value(instruction.output));
                pool::max_backward(&program.pool_shape(instruction), x, out, &gradient, &mut target);
                pending.values[first] = Some(target);
                scratch.give(gradient);
            }
            Step::AveragePool { count_include_pad, .. } => {
                let mut target = pending.open(first, x.len(), scratch);
                let shape = program.pool_shape(instruction);
                pool::average_backward(&shape, *count_include_pad, &gradient, &mut target);
                pending.values[first] = Some(target);
                scratch.give(gradient);
            }
            Step::GlobalAveragePool => {
                let mut target = pending.open(first, x.len(), scratch);
                pool::mean_backward(program.plane(instruction), &gradient, &mut target);
                pending.values[first] = Some(target);
                scratch.give(gradient);
            }
            Step::GlobalMaxPool => {
                let mut target = pending.open(first, x.len(), scratch);
                let plane = program.plane(instruction);
                let out = self.value(Source::Value(instruction.output));
                for (index, x) in x.chunks_exact(plane).enumerate() {
                    if let Some(at) = x.iter().position(|value| *value == out[index]) {
                        target[index * plane + at] += gradient[index];
                    }
                }
                pending.values[first] = Some(target);
                scratch.give(gradient);
            }
            Step::Flatten => {
                let plane = program.plane(instruction);
                let mut target = scratch.take(x.len());
                let planes = batch * plane;
                for (to, from) in target.chunks_exact_mut(planes).zip(gradient.chunks_exact(planes)) {
                    transpose(from, plane, batch, to);
                }
                pending.add(first, target, scratch);
                scratch.give(gradient);
            }
            Step::Linear { out_in } => {
                let [inputs, outputs] = program.linear_shape(instruction);
                let weight = self.value(sources[1]);
                let mut weights = vec![0.0; weight.len()];
                let (rows, columns) = (View::rows(&gradient, batch), View::transposed(x, batch));
                if *out_in {
                    multiply([outputs, inputs, batch], rows, columns, &mut weights, inputs, false);
                } else {
                    let (x, gradient) = (View::rows(x, batch), View::transposed(&gradient, batch));
                    multiply([inputs, outputs, batch], x, gradient, &mut weights, outputs, false);
                }
                pending.parameter(sources[1], weights);
                if let Some(&bias) = sources.get(2) {
                    let sums = gradient.chunks_exact(batch).map(elementwise::sum).collect();
                    pending.parameter(bias, sums);
                }
                if self.wanted(first) {
                    let mut target = pending.open(first, x.len(), scratch);
                    let weight = linear_view(weight, !*out_in, outputs, inputs);
                    multiply([inputs, batch, outputs], weight, rows, &mut target, batch, true);
                    pending.values[first] = Some(target);
                }
                scratch.give(gradient);
            }
            Step::Identity => pending.add(first, gradient, scratch),
        }
    }

    /// Gradients of sums and products, of equal shapes or with a gate of one pixel per plane.
    fn binary(
        &self,
        instruction: &Instruction,
        gradient: Vec<f32>,
        pending: &mut Pending,
        scratch: &mut Scratch,
    ) {
        let product = instruction.step == Step::Mul;
        let plane = self.program.extents[instruction.output][1..].iter().product::<usize>();
        for (own, other) in [(0, 1), (1, 0)] {
            let (own, other) = (instruction.sources[own], instruction.sources[other]);
            let Source::Value(value) = own else { continue };
            let (length, other) = (self.value(own).len(), self.value(other));
            let mut target = scratch.take(length);
            match (product, length == gradient.len(), other.len() == gradient.len()) {
                (false, true, _) => target.copy_from_slice(&gradient),
                (true, true, true) => elementwise::product(&gradient, other, &mut target),
                (true, true, false) => {
                    let planes = target.chunks_exact_mut(plane).zip(gradient.chunks_exact(plane));
                    for ((target, gradient), gate) in planes.zip(other) {
                        elementwise::scaled(*gate, gradient, target);
                    }
                }
                (_, false, _) => {
                    for (index, gradient) in gradient.chunks_exact(plane).enumerate() {
                        target[index] = match product {
                            true => elementwise::dot(gradient, &other[index * plane..][..plane]),
                            false => elementwise::sum(gradient),
                        };
                    }
                }
            }
            pending.add(value, target, scratch);
        }
        scratch.give(gradient);
    }
}

fn is_depthwise(shape: &ConvShape) -> bool {
    shape.groups > 1 && shape.groups == shape.input[0] && shape.groups == shape.output[0]
}

fn group_shape([channels, height, width]: Extent, batch: usize, groups: usize) -> GroupShape {
    GroupShape { batch, channels, pixels: height * width, groups }
}

/// Pixels of some rows of the batch in the row of one channel.
fn pixels_of(rows: &Range<usize>, [_, height, width]: Extent) -> Range<usize> {
    rows.start * height * width..rows.end * height * width
}

/// A weight as an `outputs × inputs` matrix.
fn linear_view(weight: &[f32], out_in: bool, inputs: usize, outputs: usize) -> View<'_> {
    if out_in { View::rows(weight, inputs) } else { View::transposed(weight, outputs) }
}

/// The transpose of a rows × columns matrix.
fn transposed(x: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut out = vec![0.0; x.len()];
    transpose(x, rows, columns, &mut out);
    out
}

fn transpose(x: &[f32], rows: usize, columns: usize, out: &mut [f32]) {
    for row in 0..rows {
        for column in 0..columns {
            out[column * rows + row] = x[row * columns + column];
        }
    }
}

/// `[a][b][…]` to `[b][a][…]`.
fn swap_outer(x: &[f32], a: usize, b: usize, out: &mut [f32]) {
    let inner = x.len() / (a * b).max(1);
    for (index, block) in x.chunks_exact(inner.max(1)).enumerate() {
        let (row, column) = (index / b, index % b);
        out[(column * a + row) * inner..][..inner].copy_from_slice(block);
    }
}
