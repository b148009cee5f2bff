//! What kernels are told about shapes, and the check that operands have the shapes they expect.

use crate::{
    execute::fuse::{Extent, Instruction, Lowered, Source},
    graph::Architecture,
    kernels::{Step, conv::ConvShape, norm::GroupShape, pixel::blocks, pool::PoolShape},
};

use super::{NotLowered, Program};

/// Checks the operands of every instruction; kernels index by these shapes. Returns the windows of
/// convolutions.
pub(super) fn check(
    lowered: &Lowered,
    architecture: &Architecture,
) -> Result<Vec<[usize; 2]>, NotLowered> {
    let check = |instruction: &Instruction| {
        window(lowered, architecture, instruction)
            .ok_or_else(|| NotLowered(format!("the operands of a {:?}", instruction.step)))
    };
    lowered.instructions.iter().map(check).collect()
}

/// `None` if an operand does not fit.
fn window(
    lowered: &Lowered,
    architecture: &Architecture,
    instruction: &Instruction,
) -> Option<[usize; 2]> {
    let sources = instruction.sources.as_slice();
    let &Source::Value(first) = sources.first()? else { return None };
    let (input, output) = (lowered.extents[first], lowered.extents[instruction.output]);
    let values = sources.iter().filter(|source| matches!(source, Source::Value(_))).count();
    let parameter = |slot: usize| match *sources.get(slot)? {
        Source::Parameter(id) => architecture.parameters.get(id.0)?.shape.as_deref(),
        Source::Value(_) => None,
    };
    let vectors = |slots: std::ops::Range<usize>, length: usize| {
        slots.clone().all(|slot| parameter(slot).is_some_and(|shape| shape == [length]))
            && sources.len() == slots.end
    };
    let pools = |pads: [usize; 4], kernel: [usize; 2], stride: [usize; 2]| {
        // A window may hang over, but must touch the image.
        input[0] == output[0]
            && stride.iter().all(|&stride| stride > 0)
            && (0..2).all(|axis| {
                let last = output[axis + 1].saturating_sub(1) * stride[axis];
                pads[axis] < kernel[axis] && last < input[axis + 1] + pads[axis]
            })
    };
    let fits = match instruction.step {
        Step::Conv2d { groups, stride, dilation, pads } => {
            let &[outputs, inputs, height, width] = parameter(1)? else { return None };
            let kernel = [height, width];
            let extent = |axis: usize| {
                let reach = kernel[axis].checked_sub(1)? * dilation[axis] + 1;
                let padded = input[axis + 1] + pads[axis] + pads[axis + 2];
                Some(padded.checked_sub(reach)?.checked_div(stride[axis])? + 1)
            };
            let fits = groups > 0
                && outputs == output[0]
                && outputs.is_multiple_of(groups)
                && inputs * groups == input[0]
                && extent(0)? == output[1]
                && extent(1)? == output[2]
                && vectors(2..sources.len(), outputs)
                && sources.len() <= 3;
            return fits.then_some(kernel);
        }
        Step::BatchNorm { .. } => output == input && vectors(1..5, input[0]),
        Step::GroupNorm { groups, .. } => {
            let divides = groups > 0 && input[0].is_multiple_of(groups);
            output == input && divides && vectors(1..3, input[0])
        }
        Step::Linear { out_in } => {
            let &[rows, columns] = parameter(1)? else { return None };
            let [outputs, inputs] = if out_in { [rows, columns] } else { [columns, rows] };
            [inputs, 1, 1] == input
                && [outputs, 1, 1] == output
                && vectors(2..sources.len(), outputs)
                && sources.len() <= 3
        }
        Step::Add | Step::Mul => {
            let &[_, Source::Value(second)] = sources else { return None };
            let second = lowered.extents[second];
            let gate = [output[0], 1, 1];
            [input, second] == [output, output]
                || [input, second] == [output, gate]
                || [input, second] == [gate, output]
        }
        Step::Concat => {
            let channels = sources.iter().map(|source| match source {
                Source::Value(value) if lowered.extents[*value][1..] == output[1..] => {
                    Some(lowered.extents[*value][0])
                }
                _ => None,
            });
            channels.sum::<Option<usize>>()? == output[0]
        }
        Step::MaxPool { kernel, stride, pads } => values == 1 && pools(pads, kernel, stride),
        Step::AveragePool { kernel, stride, pads, .. } => {
            values == 1 && pools(pads, kernel, stride)
        }
        Step::GlobalAveragePool | Step::GlobalMaxPool => {
            sources.len() == 1 && output == [input[0], 1, 1]
        }
        Step::Flatten => sources.len() == 1 && output == [input.iter().product(), 1, 1],
        Step::Activation(_) | Step::Identity => sources.len() == 1 && output == input,
    };
    fits.then_some([1, 1])
}

impl Program {
    pub(super) fn input_extent(&self, instruction: &Instruction) -> Extent {
        match instruction.sources[0] {
            Source::Value(value) => self.extents[value],
            Source::Parameter(_) => [0; 3],
        }
    }

    /// Pixels of one channel of the first operand for one block of images.
    pub(super) fn input_plane(&self, instruction: &Instruction) -> usize {
        self.input_extent(instruction)[1..].iter().product()
    }

    /// Geometry of the instruction at an index, if it is a convolution.
    pub(super) fn conv_shape(&self, index: usize, batch: usize) -> Option<ConvShape> {
        let instruction = &self.instructions[index];
        let Step::Conv2d { groups, stride, dilation, pads } = instruction.step else {
            return None;
        };
        Some(ConvShape {
            blocks: blocks(batch),
            input: self.input_extent(instruction),
            output: self.extents[instruction.output],
            kernel: self.kernels[index],
            stride,
            dilation,
            pad: [pads[0], pads[1]],
            groups,
        })
    }

    pub(super) fn group_shape(
        &self,
        instruction: &Instruction,
        batch: usize,
        groups: usize,
    ) -> GroupShape {
        let [channels, height, width] = self.extents[instruction.output];
        GroupShape { blocks: blocks(batch), channels, pixels: height * width, groups }
    }

    pub(super) fn pool_shape(
        &self,
        instruction: &Instruction,
        kernel: [usize; 2],
        stride: [usize; 2],
        pads: [usize; 4],
    ) -> PoolShape {
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
