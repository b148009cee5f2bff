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
    residual_network("resnet-20", 16)
}

/// As [`resnet20`], twice as wide: a million parameters.
pub fn wide_resnet20() -> Vec<u8> {
    residual_network("wide-resnet-20", 32)
}

/// As [`resnet20`], with some other width of its first layer; its parameters are about
/// 1060 · width².
pub fn residual_network(name: &str, width: usize) -> Vec<u8> {
    let (mut builder, image) = GraphBuilder::new(name, INPUT);
    let conv = |out, kernel, stride| Conv { out, kernel, stride, groups: 1, bias: false };
    let mut x = builder.conv("conv1", &image, conv(width, 3, 1));
    x = builder.batch_norm("bn1", &x);
    x = builder.activation("", &x, Activation::Relu);
    for (layer, width) in [(1, width), (2, 2 * width), (3, 4 * width)] {
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

/// The weightless ONNX file of a small vision transformer (Dosovitskiy et al. 2021): patches of
/// 4 × 4 pixels, width 64, four pre-norm blocks of four heads, the mean token classified.
pub fn vit_tiny() -> Vec<u8> {
    let (mut builder, image) = GraphBuilder::new("vit-tiny", INPUT);
    let patches = Conv { out: 64, kernel: 4, stride: 4, groups: 1, bias: true };
    let x = builder.patches("patch_embed", &image, patches);
    let x = builder.tokens("", &x);
    let mut x = builder.positions("pos_embed", &x);
    for block in 0..4 {
        let at = format!("blocks.{block}");
        let y = builder.layer_norm(&format!("{at}.norm1"), &x);
        let y = builder.attention(&format!("{at}.attn"), &y, 4);
        x = builder.add(&at, &x, &y);
        let y = builder.layer_norm(&format!("{at}.norm2"), &x);
        let y = builder.feed_forward(&format!("{at}.mlp"), &y, 256);
        x = builder.add(&at, &x, &y);
    }
    let x = builder.layer_norm("norm", &x);
    let x = builder.mean_token("", &x);
    let logits = builder.linear("head", &x, CLASSES);
    builder.finish(&logits)
}

fn finish(mut builder: GraphBuilder, x: Value) -> Vec<u8> {
    let pooled = builder.global_average_pool("", &x);
    let flat = builder.flatten("", &pooled);
    let logits = builder.linear("fc", &flat, CLASSES);
    builder.finish(&logits)
}
