//! Convolutions beside a shortcut.

use crate::spaces::build::{Conv, GraphBuilder, Value};

use super::layers::{classify, conv, conv_norm, relu};

/// ResNet of basic blocks behind a 3 × 3 stem, a stage of `blocks` blocks per width, with
/// projection shortcuts (option B) where the shape changes.
pub(super) fn resnet(
    net: &mut GraphBuilder,
    image: &Value,
    widths: &[usize],
    blocks: usize,
) -> Value {
    let first = widths.first().copied().unwrap_or(1);
    let mut x = conv_norm(net, "", ["conv1", "bn1"], image, conv(first, 3, 1));
    x = relu(net, "", &x);
    for (stage, &width) in widths.iter().enumerate() {
        for block in 0..blocks {
            let at = &format!("layer{}.{block}", stage + 1);
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let mut y = conv_norm(net, at, ["conv1", "bn1"], &x, conv(width, 3, stride));
            y = relu(net, at, &y);
            y = conv_norm(net, at, ["conv2", "bn2"], &y, conv(width, 3, 1));
            if stride > 1 {
                let names = ["downsample.0", "downsample.1"];
                x = conv_norm(net, at, names, &x, conv(width, 1, stride));
            }
            x = net.add(at, &y, &x);
            x = relu(net, at, &x);
        }
    }
    classify(net, "fc", &x)
}

/// ResNet-20, -32 and -56 of CIFAR-10.
pub(super) fn resnet_cifar<const BLOCKS: usize>(net: &mut GraphBuilder, image: &Value) -> Value {
    resnet(net, image, &[16, 32, 64], BLOCKS)
}

/// ResNet-18.
pub(super) fn resnet18(net: &mut GraphBuilder, image: &Value) -> Value {
    resnet(net, image, &[64, 128, 256, 512], 2)
}

/// WRN-16-4: three groups of two pre-activated blocks, four times as wide as ResNet's.
pub(super) fn wide_resnet16(net: &mut GraphBuilder, image: &Value) -> Value {
    let mut x = net.conv("conv1", image, conv(16, 3, 1));
    for (group, width) in [64, 128, 256].into_iter().enumerate() {
        for block in 0..2 {
            let at = &format!("block{}.layer.{block}", group + 1);
            let stride = if group > 0 && block == 0 { 2 } else { 1 };
            let mut y = net.batch_norm(&format!("{at}.bn1"), &x);
            y = relu(net, &format!("{at}.relu1"), &y);
            // A shortcut that changes the width reads what the block normalised.
            let shortcut = match x.channels == width {
                true => x,
                false => net.conv(&format!("{at}.convShortcut"), &y, conv(width, 1, stride)),
            };
            y = conv_norm(net, at, ["conv1", "bn2"], &y, conv(width, 3, stride));
            y = relu(net, &format!("{at}.relu2"), &y);
            y = net.conv(&format!("{at}.conv2"), &y, conv(width, 3, 1));
            x = net.add(at, &shortcut, &y);
        }
    }
    x = net.batch_norm("bn1", &x);
    x = relu(net, "relu", &x);
    classify(net, "fc", &x)
}

/// RegNetX-200MF: bottlenecks that do not narrow, their 3 × 3 convolutions in groups of eight
/// channels.
pub(super) fn regnet_x_200mf(net: &mut GraphBuilder, image: &Value) -> Value {
    let names = ["conv", "bn"];
    let mut x = conv_norm(net, "stem", names, image, conv(32, 3, 1));
    x = relu(net, "stem", &x);
    let stages = [(1, 24, 1), (1, 56, 2), (4, 152, 2), (7, 368, 2)];
    for (stage, (blocks, width, stride)) in stages.into_iter().enumerate() {
        for block in 0..blocks {
            let at = &format!("s{}.b{}", stage + 1, block + 1);
            let stride = if block == 0 { stride } else { 1 };
            let middle = Conv { groups: width / 8, ..conv(width, 3, stride) };
            let mut y = x.clone();
            for (name, conv) in [("conv1", conv(width, 1, 1)), ("conv2", middle)] {
                y = conv_norm(net, &format!("{at}.{name}"), names, &y, conv);
                y = relu(net, &format!("{at}.{name}"), &y);
            }
            y = conv_norm(net, &format!("{at}.conv3"), names, &y, conv(width, 1, 1));
            if block == 0 {
                let projection = conv(width, 1, stride);
                x = conv_norm(net, &format!("{at}.downsample"), names, &x, projection);
            }
            x = net.add(at, &y, &x);
            x = relu(net, at, &x);
        }
    }
    classify(net, "head.fc", &x)
}
