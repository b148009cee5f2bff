//! What kernels are told about shapes, and the check that operands have the shapes they expect.

use crate::{
    execute::lower::{Instruction, Lowered, Places, Source},
    graph::Architecture,
    kernels::{
        Step,
        conv::ConvShape,
        norm::GroupShape,
        pixel::blocks,
        pool::{PoolShape, Windows},
        softmax::AxisShape,
    },
};

use super::{super::NotLowered, Program};

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
    let (input, output) = (instruction.input, lowered.extents[instruction.output]);
    let values = sources.iter().filter(|source| matches!(source, Source::Value(_))).count();
    let parameter = |slot: usize| match *sources.get(slot)? {
        Source::Parameter(id) => architecture.parameters.get(id.0)?.shape.as_deref(),
        Source::Value(_) => None,
    };
    let vectors = |slots: std::ops::Range<usize>, length: usize| {
        let fits = |shape: &[usize]| shape.iter().product::<usize>() == length;
        slots.clone().all(|slot| parameter(slot).is_some_and(fits)) && sources.len() == slots.end
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
    let fits = match &instruction.step {
        &Step::Conv2d { groups, stride, dilation, pads } => {
            let (outputs, inputs, kernel) = match *parameter(1)? {
                [outputs, inputs, height, width] => (outputs, inputs, [height, width]),
                [outputs, inputs, length] => (outputs, inputs, [length, 1]),
                _ => return None,
            };
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
        &Step::GroupNorm { groups, .. } => {
            let divides = groups > 0 && input[0].is_multiple_of(groups);
            output == input && divides && vectors(1..3, input[0])
        }
        &Step::Linear { out_in } => {
            let &[rows, columns] = parameter(1)? else { return None };
            let [outputs, inputs] = if out_in { [rows, columns] } else { [columns, rows] };
            inputs == input[0]
                && outputs == output[0]
                && input[1..] == output[1..]
                && vectors(2..sources.len(), outputs)
                && sources.len() <= 3
        }
        Step::LayerNorm { .. } => output == input && vectors(1..sources.len(), input[0]),
        &Step::MaxPool { kernel, stride, pads }
        | &Step::AveragePool { kernel, stride, pads, .. } => {
            values == 1 && pools(pads, kernel, stride)
        }
        Step::AdaptivePool => sources.len() == 1 && output[0] == input[0],
        Step::GlobalMaxPool => sources.len() == 1 && output == [input[0], 1, 1],
        // Lowering sees to the places of all operands.
        Step::Add | Step::Mul => sources.len() == 2,
        Step::Concat { .. } => values == sources.len(),
        Step::MatMul => values == 2 && sources.len() == 2,
        Step::Activation(_)
        | Step::Scale { .. }
        | Step::Mean { .. }
        | Step::Reshape
        | Step::Softmax { .. } => sources.len() == 1 && values == 1,
        Step::Identity | Step::View { .. } | Step::Split { .. } | Step::Sub => false,
    };
    fits.then_some([1, 1])
}

impl Program {
    /// Pixels of one channel of the first operand for one block of images.
    pub(super) fn input_plane(&self, instruction: &Instruction) -> usize {
        instruction.input[1..].iter().product()
    }

    /// Geometry of the instruction at an index, if it is a convolution.
    pub(super) fn conv_shape(&self, index: usize, batch: usize) -> Option<ConvShape> {
        let instruction = &self.instructions[index];
        let Step::Conv2d { groups, stride, dilation, pads } = instruction.step else {
            return None;
        };
        Some(ConvShape {
            blocks: blocks(batch),
            input: instruction.input,
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

    /// The axis of a softmax.
    pub(super) fn axis_shape(&self, instruction: &Instruction, batch: usize) -> Option<AxisShape> {
        let &Places::Axis { length, stride } = &instruction.places else { return None };
        let (row, plane) = (self.row(instruction.output, batch), self.plane(instruction.output));
        let inner = stride.pixel(0, blocks(batch), plane);
        let total = self.extents[instruction.output][0] * row;
        Some(AxisShape { outer: total / (length * inner).max(1), length, inner })
    }

    pub(super) fn sliding(
        &self,
        instruction: &Instruction,
        kernel: [usize; 2],
        stride: [usize; 2],
        pads: [usize; 4],
    ) -> PoolShape {
        let windows = Windows::Sliding { kernel, stride, pad: [pads[0], pads[1]] };
        self.pool_shape(instruction, windows)
    }

    pub(super) fn pool_shape(&self, instruction: &Instruction, windows: Windows) -> PoolShape {
        let [_, height, width] = instruction.input;
        let [_, out_height, out_width] = self.extents[instruction.output];
        PoolShape { input: [height, width], output: [out_height, out_width], windows }
    }
}
