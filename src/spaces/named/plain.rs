//! Chains of convolutions.

use crate::spaces::build::{Activation, Conv, GraphBuilder, Pool, Value};

use super::{
    CLASSES,
    layers::{classify, relu},
};

/// Three convolutions without normalisation: 5 × 5 of stride 2 to 32 channels, 3 × 3 of stride 2
/// to 64, 3 × 3 to 128, each with a ReLU.
pub(super) fn cnn(net: &mut GraphBuilder, image: &Value) -> Value {
    let mut x = image.clone();
    for (path, out, kernel, stride) in
        [("conv1", 32, 5, 2), ("conv2", 64, 3, 2), ("conv3", 128, 3, 1)]
    {
        x = net.conv(path, &x, Conv { out, kernel, stride, groups: 1, bias: true });
        x = relu(net, "", &x);
    }
    classify(net, "fc", &x)
}

/// LeNet-5: 5 × 5 convolutions to 6 and 16 channels, a 2 × 2 average behind each, linear maps to
/// 120 and 84 features, tanh throughout.
pub(super) fn lenet5(net: &mut GraphBuilder, image: &Value) -> Value {
    let conv = |out| Conv { out, kernel: 5, stride: 1, groups: 1, bias: true };
    let mut x = net.conv("conv1", image, conv(6));
    x = net.activation("", &x, Activation::Tanh);
    x = net.pool("", &x, Pool::Average, [2, 2, 0]);
    x = net.patches("conv2", &x, conv(16));
    x = net.activation("", &x, Activation::Tanh);
    x = net.pool("", &x, Pool::Average, [2, 2, 0]);
    x = net.flatten("", &x);
    for (path, out) in [("fc1", 120), ("fc2", 84)] {
        x = net.linear(path, &x, out);
        x = net.activation("", &x, Activation::Tanh);
    }
    net.linear("fc3", &x, CLASSES)
}

/// VGG of configuration A, eight 3 × 3 convolutions, down to one pixel; a single linear map behind.
pub(super) fn vgg11(net: &mut GraphBuilder, image: &Value) -> Value {
    let mut x = image.clone();
    let mut index = 0;
    let mut next = || {
        index += 1;
        format!("features.{}", index - 1)
    };
    for widths in [&[64][..], &[128], &[256, 256], &[512, 512], &[512, 512]] {
        for &out in widths {
            x = net.conv(&next(), &x, Conv { out, kernel: 3, stride: 1, groups: 1, bias: true });
            x = relu(net, &next(), &x);
        }
        x = net.pool(&next(), &x, Pool::Max, [2, 2, 0]);
    }
    let flat = net.flatten("", &x);
    net.linear("classifier", &flat, CLASSES)
}
