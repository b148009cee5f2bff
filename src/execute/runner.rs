//! A network made ready to run in batches, by whatever runs it fastest.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};

use crate::{
    graph::{self, Architecture, NodeIndex, Operand, Weights},
    kernels::Scratch,
    neural::{download, upload},
    ops::{Array, OperatorFamily, Registry, resolve_with_input},
};

use super::{
    ExecuteError, Gradients, Images, MeasuredStatistics, NormStatistics, Program, execute, measure,
    upload_weights,
};

/// A resolved architecture: as a [`Program`] where every operator has a kernel, otherwise on burn's
/// CPU backend, many times slower and with the same results.
#[derive(Debug)]
pub enum Runner {
    /// On kernels.
    Kernels(Program),
    /// On burn. Not to be differentiated on a thread of rayon's pool: burn's locks and rayon's work
    /// stealing wait for each other.
    Reference {
        /// The architecture.
        architecture: Box<Architecture>,
        /// Its operators.
        registry: Arc<Registry>,
    },
}

impl Runner {
    /// Prepares an architecture.
    pub fn new(architecture: &Architecture, registry: &Arc<Registry>) -> Self {
        match Program::compile(architecture, registry) {
            Ok(program) => Self::Kernels(program),
            Err(_) => Self::without_kernels(architecture, registry),
        }
    }

    /// Prepares an architecture to run on batches of this shape, whatever batch size the file declares.
    /// Kernels run image by image, so that they take a batch where a batch size is written into the
    /// graph. Refuses with a sentence where the graph cannot be run so.
    pub fn of_batch(
        architecture: &Architecture,
        shape: [usize; 4],
        registry: &Arc<Registry>,
    ) -> Result<Self, String> {
        let mut single = architecture.clone();
        let one = [&[1], &shape[1..]].concat();
        if resolve_with_input(&mut single, &one, registry).is_ok()
            && let Ok(program) = Program::compile(&single, registry)
        {
            return Ok(Self::Kernels(program));
        }
        let mut whole = architecture.clone();
        match resolve_with_input(&mut whole, &shape, registry) {
            Ok(_) => Ok(Self::without_kernels(&whole, registry)),
            Err(error) => {
                Err(format!("the network does not take a batch of {}: {error}", shape[0]))
            }
        }
    }

    /// Prepares an architecture to run on burn, kernels or not: what kernels are measured against.
    pub fn without_kernels(architecture: &Architecture, registry: &Arc<Registry>) -> Self {
        Self::Reference {
            architecture: Box::new(architecture.clone()),
            registry: Arc::clone(registry),
        }
    }

    /// Whether every operator has a kernel.
    pub fn is_lowered(&self) -> bool {
        matches!(self, Self::Kernels(_))
    }

    /// Logits, `[batch, classes]` row-major.
    pub fn logits(
        &self,
        weights: &Weights,
        images: Images,
        statistics: &NormStatistics,
        scratch: &mut Scratch,
    ) -> Result<Vec<f32>, ExecuteError> {
        match self {
            Self::Kernels(program) => Ok(program.logits(weights, images, statistics, scratch)),
            Self::Reference { architecture, registry } => {
                let device = Device::flex();
                let weights = upload_weights(architecture, weights, &device);
                let input = [array(images, &device)];
                let run = Reference { architecture, registry, weights: &weights, input: &input };
                let outputs = run.outputs(statistics, &device)?;
                Ok(outputs.first().map(Array::download).unwrap_or_default())
            }
        }
    }

    /// The statistics of every batch normalisation on the images, each normalised by its own on the
    /// way.
    pub fn statistics(
        &self,
        weights: &Weights,
        images: Images,
        scratch: &mut Scratch,
    ) -> Result<Vec<MeasuredStatistics>, ExecuteError> {
        Ok(self.measure(weights, images, scratch)?.1)
    }

    /// The same, and what the network returns with them, `[batch, …]` row-major.
    pub fn measure(
        &self,
        weights: &Weights,
        images: Images,
        scratch: &mut Scratch,
    ) -> Result<(Vec<f32>, Vec<MeasuredStatistics>), ExecuteError> {
        match self {
            Self::Kernels(program) => Ok(program.measure(weights, images, scratch)),
            Self::Reference { architecture, registry } => {
                let device = Device::flex();
                let weights = upload_weights(architecture, weights, &device);
                let (input, rows) = ([array(images, &device)], 0..images.batch);
                let (outputs, statistics) =
                    measure(architecture, registry, &weights, &input, &rows, &device)?;
                Ok((outputs.first().map(Array::download).unwrap_or_default(), statistics))
            }
        }
    }

    /// Runs forward and hands over what every non-linearity returns, `[batch, …]` row-major.
    pub fn activations(
        &self,
        weights: &Weights,
        images: Images,
        statistics: &NormStatistics,
        visit: &mut dyn FnMut(&[f32]),
        scratch: &mut Scratch,
    ) -> Result<(), ExecuteError> {
        match self {
            Self::Kernels(program) => {
                program.activations(weights, images, statistics, visit, scratch);
            }
            Self::Reference { architecture, registry } => {
                let mut watched = architecture.clone();
                let activates = |node: &&NodeIndex| {
                    let operator = registry.find(&architecture.dag[**node]);
                    operator.is_ok_and(|known| known.family() == OperatorFamily::Activation)
                };
                let nodes = architecture.order.iter().filter(activates);
                let output = |&node| (String::new(), Operand::Node { node, slot: 0 });
                watched.outputs = nodes.map(output).collect();
                let device = Device::flex();
                let weights = upload_weights(architecture, weights, &device);
                let (architecture, input) = (watched.as_ref(), [array(images, &device)]);
                let run = Reference { architecture, registry, weights: &weights, input: &input };
                let outputs = run.outputs(statistics, &device)?;
                outputs.iter().for_each(|output| visit(&output.download()));
            }
        }
        Ok(())
    }

    /// Runs forward and backward. `loss` is given the logits and fills their gradient, which is
    /// zero before.
    pub fn gradients(
        &self,
        weights: &Weights,
        images: Images,
        statistics: &NormStatistics,
        loss: &mut dyn FnMut(&[f32], &mut [f32]) -> f32,
        image_gradient: bool,
        scratch: &mut Scratch,
    ) -> Result<(f32, Gradients), ExecuteError> {
        match self {
            Self::Kernels(program) => {
                Ok(program.gradients(weights, images, statistics, loss, image_gradient, scratch))
            }
            Self::Reference { architecture, registry } => {
                let device = Device::flex().autodiff();
                let mut weights = upload_weights(architecture, weights, &device);
                weights.iter_mut().flatten().for_each(track);
                let mut input = [array(images, &device)];
                if image_gradient {
                    track(&mut input[0]);
                }
                let run = Reference { architecture, registry, weights: &weights, input: &input };
                let outputs = run.outputs(statistics, &device)?;
                let Some(Array::Float { flat: logits, .. }) = outputs.into_iter().next() else {
                    return Err(ExecuteError::NoLogits);
                };
                let values = download(logits.clone());
                let mut seeds = vec![0.0; values.len()];
                let value = loss(&values, &mut seeds);
                let seeds: Tensor<1> = upload(seeds, [values.len()], &device);
                let taken = (logits * seeds).sum().backward();
                let gradient = |array: &Array| match array {
                    Array::Float { flat, .. } => flat.grad(&taken).map(download),
                    Array::Int { .. } => None,
                };
                let gradients = Gradients {
                    parameters: weights
                        .iter()
                        .map(|weight| weight.as_ref().and_then(gradient))
                        .collect(),
                    images: image_gradient.then(|| {
                        gradient(&input[0]).unwrap_or_else(|| vec![0.0; images.data.len()])
                    }),
                };
                Ok((value, gradients))
            }
        }
    }
}

/// One run on burn.
struct Reference<'a> {
    architecture: &'a Architecture,
    registry: &'a Registry,
    weights: &'a [Option<Array>],
    input: &'a [Array],
}

impl Reference<'_> {
    fn outputs(
        &self,
        statistics: &NormStatistics,
        device: &Device,
    ) -> Result<Vec<Array>, ExecuteError> {
        let Self { architecture, registry, weights, input } = *self;
        match statistics {
            NormStatistics::Running => execute(architecture, registry, weights, input, device),
            NormStatistics::Measured { rows } => {
                Ok(measure(architecture, registry, weights, input, rows, device)?.0)
            }
        }
    }
}

fn array(images: Images, device: &Device) -> Array {
    let Images { batch, channels, height, width, data } = images;
    let shape = vec![batch, channels, height, width];
    Array::upload(&graph::Tensor { shape, data: data.to_vec() }, device)
}

fn track(array: &mut Array) {
    if let Array::Float { flat, .. } = array {
        *flat = flat.clone().require_grad();
    }
}
