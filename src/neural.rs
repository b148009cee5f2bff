//! Small building blocks shared by the neural modules, and the flat view of their parameters.
//!
//! Modules are made empty (zeros, norms as identity); values come from a checkpoint or from
//! [`initialise`], drawn on the host so that every device starts from the same bytes.

pub(crate) use crate::tensor_data::{download, upload};
use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    nn::{Initializer, Linear, LinearConfig},
    tensor::{Device, Gradients, Tensor, TensorData, activation},
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::kernels::{self, Activation};

/// The exact Gelu. On the CPU it runs on our vectorised kernels, many times faster than burn's: to
/// autodiff the result is the tangent `x · slope + rest`, of the same value and gradient.
pub(crate) fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let device = x.device();
    if device.clone().inner() != Device::flex() {
        return activation::gelu(x);
    }
    let shape = x.dims();
    let point = download(x.clone());
    let mut value = vec![0.0; point.len()];
    kernels::activation::apply(Activation::Gelu, &point, &mut value);
    if !device.is_autodiff() {
        return upload(value, shape, &device);
    }
    let mut slope = vec![1.0; point.len()];
    kernels::activation::apply_backward(Activation::Gelu, &point, &mut slope);
    for ((value, slope), point) in value.iter_mut().zip(&slope).zip(&point) {
        *value -= slope * point;
    }
    x * upload(slope, shape, &device) + upload(value, shape, &device)
}

/// Rows to pad `length` to. A GPU keeps compiled kernels and pools of memory for every shape it has
/// met, so shapes that vary from step to step are rounded up to powers of two there.
pub(crate) fn padded(length: usize, device: &Device) -> usize {
    let on_cpu = device.clone().inner() == Device::flex();
    if on_cpu { length } else { length.next_power_of_two() }
}

/// A linear layer of zeros.
pub(crate) fn linear(input: usize, output: usize, device: &Device) -> Linear {
    LinearConfig::new(input, output).with_initializer(Initializer::Zeros).init(device)
}

/// A linear layer of zeros without bias.
pub(crate) fn matrix(input: usize, output: usize, device: &Device) -> Linear {
    LinearConfig::new(input, output)
        .with_bias(false)
        .with_initializer(Initializer::Zeros)
        .init(device)
}

/// A look-up table of zeros, `[rows, width]`.
pub(crate) fn table(rows: usize, width: usize, device: &Device) -> Param<Tensor<2>> {
    Initializer::Zeros.init([rows, width], device)
}

/// Name and shape of one parameter tensor of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Path of fields, dotted, for example `encoder.blocks.0.output.weight`.
    pub name: String,
    /// Extents.
    pub shape: Vec<usize>,
}

impl Entry {
    /// Number of values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The parameters of a module in declaration order.
pub fn entries<M: Module>(module: &M) -> Vec<Entry> {
    let mut visitor = Entries::default();
    module.visit(&mut visitor);
    visitor.entries
}

/// All parameter values of a module, one after the other in declaration order.
pub fn values<M: Module>(module: &M) -> Vec<f32> {
    let mut visitor = Values { out: Vec::new() };
    module.visit(&mut visitor);
    visitor.out
}

/// The gradient of every parameter tensor in the order of [`entries`]; empty where one took no part.
pub fn gradients<M: Module>(module: &M, gradients: &Gradients) -> Vec<Vec<f32>> {
    let mut visitor = Collect { gradients, out: Vec::new() };
    module.visit(&mut visitor);
    visitor.out
}

/// The same module with parameter values taken from a flat slice in the order of [`values`].
///
/// # Panics
/// If the slice is shorter than the module; compare lengths with [`entries`] first.
pub fn with_values<M: Module>(module: M, values: &[f32], device: &Device) -> M {
    module.map(&mut Load { values, device })
}

/// The same module on autodiff: it shares the values, and has a graph of its own.
pub fn tracked<M: Module>(module: &M) -> M {
    module.clone().map(&mut Track)
}

/// Standard deviation of what one value of a latent adds to a token at first.
const LATENT: f32 = 0.1;

/// Beginning of the names of output layers.
pub(crate) const OUTPUTS: &str = "outputs.";

/// Standard deviation of the starting values of an output layer that reads `rows` values.
pub(crate) fn output_scale(rows: usize) -> f32 {
    (rows as f32).powf(-0.5) * 0.5
}

/// Starting values: tables N(0, 1), matrices N(0, 1 / rows), output layers N(0, 1 / 4 rows), norms
/// identity, biases, relation tables and what a conditioner adds zero, but for
/// latents. Drawn in declaration order from ChaCha8.
pub fn initialise(entries: &[Entry], seed: u64) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut out = Vec::new();
    for entry in entries {
        let leaf = entry.name.rsplit('.').next().unwrap_or_default();
        match (leaf, entry.shape.as_slice()) {
            _ if entry.name.starts_with("conditioner.adds_") => {
                out.extend(std::iter::repeat_n(0.0, entry.len()));
            }
            _ if entry.name.starts_with("conditioner.latent_") => {
                out.extend((0..entry.len()).map(|_| LATENT * normal(&mut random)));
            }
            ("gamma", _) => out.extend(std::iter::repeat_n(1.0, entry.len())),
            (_, [_]) => out.extend(std::iter::repeat_n(0.0, entry.len())),
            ("weight", [rows, ..]) => {
                let scale = match entry.name.starts_with(OUTPUTS) {
                    true => output_scale(*rows),
                    false => (*rows as f32).powf(-0.5),
                };
                out.extend((0..entry.len()).map(|_| scale * normal(&mut random)));
            }
            ("relations", _) => out.extend(std::iter::repeat_n(0.0, entry.len())),
            _ => out.extend((0..entry.len()).map(|_| normal(&mut random))),
        }
    }
    out
}

/// One draw from N(0, 1) (Box–Muller).
pub fn normal(random: &mut ChaCha8Rng) -> f32 {
    let radius = (-2.0 * (1.0 - random.random::<f64>()).ln()).sqrt();
    (radius * (std::f64::consts::TAU * random.random::<f64>()).cos()) as f32
}

#[derive(Default)]
struct Entries {
    path: Vec<String>,
    entries: Vec<Entry>,
}

impl ModuleVisitor for Entries {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let shape = param.lazy_shape().to_vec();
        self.entries.push(Entry { name: self.path.join("."), shape });
    }
}

struct Values {
    out: Vec<f32>,
}

impl ModuleVisitor for Values {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.out.extend(download(param.val()));
    }
}

struct Collect<'a> {
    gradients: &'a Gradients,
    out: Vec<Vec<f32>>,
}

impl ModuleVisitor for Collect<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = param.val().grad(self.gradients);
        self.out.push(gradient.map(download).unwrap_or_default());
    }
}

struct Load<'a> {
    values: &'a [f32],
    device: &'a Device,
}

impl ModuleMapper for Load<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let device = self.device;
        let shape: [usize; D] = param.lazy_shape().dims();
        let (head, tail) = self.values.split_at(shape.iter().product());
        self.values = tail;
        let tensor = Tensor::from_data(TensorData::new(head.to_vec(), shape), device);
        Param::initialized(param.id, tensor)
    }
}

struct Track;

impl ModuleMapper for Track {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        Param::initialized(param.id, Tensor::from_inner(param.val()).require_grad())
    }
}
