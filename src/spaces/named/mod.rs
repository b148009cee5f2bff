//! Networks with a name, each built from its paper, layer by layer, under the names that its
//! usual PyTorch implementation gives the modules: predicted state dicts load there. [`NAMED`] is
//! the only list; files, tests and documentation derive from it.
//!
//! Networks that their papers give for ImageNet keep their widths, depths and kernels, hence their
//! parameters, and lose strides, so that a 32 × 32 image does not vanish.

pub(super) mod cell;
mod convnext;
mod dense;
pub(super) mod layers;
mod mobile;
mod plain;
mod residual;
mod shuffle;
mod table;
mod token;

use super::build::{Built, GraphBuilder, Value};

pub use table::NAMED;

/// Classes of CIFAR-10, and of MNIST.
const CLASSES: usize = 10;
/// A CIFAR-10 image.
const CIFAR: [usize; 3] = [3, 32, 32];
/// An MNIST image.
const MNIST: [usize; 3] = [1, 28, 28];

/// A network with a name: one row of [`NAMED`].
#[derive(Clone, Copy, Debug)]
pub struct Named {
    /// The stem of its file, `architectures/named/<name>.onnx`, and the name of its graph.
    pub name: &'static str,
    /// Who described it, when; empty if it is ours.
    pub paper: &'static str,
    /// Where to read the paper.
    pub link: &'static str,
    /// Channels, height and width of an image.
    pub input: [usize; 3],
    /// Learnable parameters with ten classes; running statistics are not learned.
    pub parameters: u64,
    /// What the paper itself says, in its own rounding.
    pub published: Option<Published>,
    /// Where `parameters` is from, and what differs from the paper.
    pub notes: &'static str,
    build: fn(&mut GraphBuilder, &Value) -> Value,
}

/// The size of a network as its paper states it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Published {
    /// Parameters in millions.
    pub millions: f64,
    /// Classes of the classifier that they include.
    pub classes: usize,
}

impl Named {
    /// The network of that name.
    pub fn find(name: &str) -> Option<&'static Self> {
        NAMED.iter().find(|named| named.name == name)
    }

    /// The weightless ONNX file. It stands in the repository as `architectures/named/<name>.onnx`.
    pub fn onnx(&self) -> Vec<u8> {
        self.built().encode()
    }

    /// Multiply-accumulates of all convolutions and linear maps for one image.
    pub fn multiply_accumulates(&self) -> u64 {
        self.built().multiply_accumulates
    }

    fn built(&self) -> Built {
        build(self.name, self.input, self.build)
    }
}

/// As `plain-cnn` in [`NAMED`].
pub fn plain_cnn() -> Vec<u8> {
    build("plain-cnn", CIFAR, plain::cnn).encode()
}

/// As `resnet-20` in [`NAMED`], with some other width of its first layer; its parameters are about
/// 1060 · width².
pub fn residual_network(name: &str, width: usize) -> Vec<u8> {
    let widths = [width, 2 * width, 4 * width];
    build(name, CIFAR, |net, image| residual::resnet(net, image, &widths, 3)).encode()
}

fn build(
    name: &str,
    input: [usize; 3],
    layers: impl FnOnce(&mut GraphBuilder, &Value) -> Value,
) -> Built {
    let (mut net, image) = GraphBuilder::new(name, input);
    let logits = layers(&mut net, &image);
    net.build(&logits)
}
