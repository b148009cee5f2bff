//! Networks with a name, built as PyTorch code would spell them.

use super::build::{Activation, Conv, GraphBuilder, Value};

/// Classes of CIFAR-10.
const CLASSES: usize = 10;
/// A CIFAR-10 image.
const INPUT: [usize; 3] = [3, 32, 32];

/// The weightless ONNX file of a plain convolutional network without normalisation: 5×5 of stride
/// 2 to 32 channels, 3×3 of stride 2 to 64, 3×3 to 128, each with a ReLU; global average pool;
/// linear. It stands in the repository as `architectures/named/plain-cnn.onnx`.
pub fn plain_cnn() -> Vec<u8> {
    let (mut builder, mut x) = GraphBuilder::new("plain-cnn", INPUT);
    for (path, out, kernel, stride) in
        [("conv1", 32, 5, 2), ("conv2", 64, 3, 2), ("conv3", 128, 3, 1)]
    {
        x = builder.conv(path, &x, Conv { out, kernel, stride, groups: 1, bias: true });
        x = builder.activation("", &x, Activation::Relu);
    }
    finish(builder, x)
}

/// The weightless ONNX file of ResNet-20 for CIFAR-10 (He et al. 2015), with projection shortcuts
/// (option B) where the shape changes. It stands in the repository as
/// `architectures/named/resnet-20.onnx`.
pub fn resnet20() -> Vec<u8> {
    let (mut builder, image) = GraphBuilder::new("resnet-20", INPUT);
    let conv = |out, kernel, stride| Conv { out, kernel, stride, groups: 1, bias: false };
    let mut x = builder.conv("conv1", &image, conv(16, 3, 1));
    x = builder.batch_norm("bn1", &x);
    x = builder.activation("", &x, Activation::Relu);
    for (layer, width) in [(1, 16), (2, 32), (3, 64)] {
        for block in 0..3 {
            let at = format!("layer{layer}.{block}");
            let stride = if layer > 1 && block == 0 { 2 } else { 1 };
            let mut y = builder.conv(&format!("{at}.conv1"), &x, conv(width, 3, stride));
            y = builder.batch_norm(&format!("{at}.bn1"), &y);
            y = builder.activation(&at, &y, Activation::Relu);
            y = builder.conv(&format!("{at}.conv2"), &y, conv(width, 3, 1));
            y = builder.batch_norm(&format!("{at}.bn2"), &y);
            if stride > 1 {
                x = builder.conv(&format!("{at}.downsample.0"), &x, conv(width, 1, stride));
                x = builder.batch_norm(&format!("{at}.downsample.1"), &x);
            }
            x = builder.add(&at, &y, &x);
            x = builder.activation(&at, &x, Activation::Relu);
        }
    }
    finish(builder, x)
}

fn finish(mut builder: GraphBuilder, x: Value) -> Vec<u8> {
    let pooled = builder.global_average_pool("", &x);
    let flat = builder.flatten("", &pooled);
    let logits = builder.linear("fc", &flat, CLASSES);
    builder.finish(&logits)
}
