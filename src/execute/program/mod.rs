//! A network as a list of kernel instructions, run forward and backward on one core.

mod backward;
mod forward;
mod geometry;

use std::ops::Range;

use crate::{
    graph::{Architecture, ParameterId, Weights},
    kernels::{Pixel, Scratch, Step, pixel},
    ops::{Registry, resolve_with_input},
};

use super::{
    NotLowered,
    form::Extent,
    lower::{Instruction, Source, lower},
};

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
    /// With respect to the weights; absent for parameters the network does not differentiate.
    pub parameters: Weights,
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

/// A compiled network. The batch may have any size.
#[derive(Debug)]
pub struct Program {
    instructions: Vec<Instruction>,
    extents: Vec<Extent>,
    result: usize,
    /// Instruction after which a value is not read again (in a forward run).
    last_use: Vec<usize>,
    /// Window of every convolution; nothing for other instructions.
    kernels: Vec<[usize; 2]>,
}

impl Program {
    /// Compiles a resolved architecture.
    pub fn compile(architecture: &Architecture, registry: &Registry) -> Result<Self, NotLowered> {
        let one = single(architecture, registry);
        let lowered = lower(one.as_ref().unwrap_or(architecture), registry)?.merged();
        let kernels = geometry::check(&lowered, architecture)?;
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
            kernels,
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
        weights: &Weights,
        images: Images,
        statistics: &NormStatistics,
        scratch: &mut Scratch,
    ) -> Vec<f32> {
        let trace = self.forward(&weights.as_slices(), images, statistics, false, scratch);
        let logits = self.read(trace.value(self.result), self.result, images.batch);
        trace.free(scratch);
        logits
    }

    /// Runs forward and backward. `loss` is given the logits and fills their gradient.
    pub fn gradients(
        &self,
        weights: &Weights,
        images: Images,
        statistics: &NormStatistics,
        loss: &mut dyn FnMut(&[f32], &mut [f32]) -> f32,
        image_gradient: bool,
        scratch: &mut Scratch,
    ) -> (f32, Gradients) {
        let batch = images.batch;
        let weights = &weights.as_slices();
        let trace = self.forward(weights, images, statistics, true, scratch);
        let logits = self.read(trace.value(self.result), self.result, batch);
        let mut seeds = vec![0.0; logits.len()];
        let value = loss(&logits, &mut seeds);
        let mut gradient = scratch.take(trace.value(self.result).len());
        pixel::gather(&seeds, batch, self.extents[self.result][0], &mut gradient);
        let run = backward::Backward {
            program: self,
            weights,
            batch,
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
        weights: &Weights,
        images: Images,
        scratch: &mut Scratch,
    ) -> Vec<MeasuredStatistics> {
        self.measure(weights, images, scratch).1
    }

    /// The same, and the logits with them.
    pub fn measure(
        &self,
        weights: &Weights,
        images: Images,
        scratch: &mut Scratch,
    ) -> (Vec<f32>, Vec<MeasuredStatistics>) {
        let all = NormStatistics::Measured { rows: 0..images.batch };
        let trace = self.forward(&weights.as_slices(), images, &all, false, scratch);
        let measured = self.instructions.iter().zip(&trace.moments).filter_map(|(of, moments)| {
            let (Step::BatchNorm { .. }, &[_, _, _, mean, variance]) =
                (&of.step, of.sources.as_slice())
            else {
                return None;
            };
            let (Source::Parameter(mean), Source::Parameter(variance)) = (mean, variance) else {
                return None;
            };
            Some(MeasuredStatistics {
                mean,
                variance,
                means: moments.iter().map(|moments| moments.mean.0[0]).collect(),
                variances: moments.iter().map(|moments| moments.variance.0[0]).collect(),
            })
        });
        let measured = measured.collect();
        let logits = self.read(trace.value(self.result), self.result, images.batch);
        trace.free(scratch);
        (logits, measured)
    }

    /// Runs forward and hands over what every non-linearity returns, `[batch, …]` row-major.
    pub fn activations(
        &self,
        weights: &Weights,
        images: Images,
        statistics: &NormStatistics,
        visit: &mut dyn FnMut(&[f32]),
        scratch: &mut Scratch,
    ) {
        let trace = self.forward(&weights.as_slices(), images, statistics, true, scratch);
        for instruction in &self.instructions {
            let activates = matches!(instruction.step, Step::Activation(_));
            if activates || instruction.activation.is_some() {
                let output = instruction.output;
                visit(&self.read(trace.value(output), output, images.batch));
            }
        }
        trace.free(scratch);
    }

    /// A value of the network, image by image.
    fn read(&self, pixels: &[Pixel], value: usize, batch: usize) -> Vec<f32> {
        let mut out = vec![0.0; batch * self.extents[value].iter().product::<usize>()];
        pixel::scatter(pixels, batch, self.extents[value][0], &mut out);
        out
    }

    /// Pixels of one channel of a value.
    fn row(&self, value: usize, batch: usize) -> usize {
        pixel::blocks(batch) * self.plane(value)
    }

    /// Pixels of one channel of a value for one block of images.
    fn plane(&self, value: usize) -> usize {
        self.extents[value][1..].iter().product()
    }
}

/// The architecture for one image, which is what programs are compiled from, if it is for more.
fn single(architecture: &Architecture, registry: &Registry) -> Option<Architecture> {
    let mut shape = architecture.inputs.first()?.shape.clone()?;
    if *shape.first()? == 1 {
        return None;
    }
    shape[0] = 1;
    let mut single = architecture.clone();
    resolve_with_input(&mut single, &shape, registry).ok()?;
    Some(single)
}
