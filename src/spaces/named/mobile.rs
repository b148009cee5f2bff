//! Inverted residuals: a depthwise convolution inside a 1 × 1 expansion.

use crate::spaces::build::{Conv, GraphBuilder, Value};

use super::layers::{classify, conv, conv_norm, depthwise, relu6};

/// Blocks of one shape: expansion, width, repetitions, stride of the first, kernel.
type Stage = (usize, usize, usize, usize, usize);

/// MobileNetV2 of width 1.
pub(super) fn mobilenet_v2(net: &mut GraphBuilder, image: &Value) -> Value {
    const STAGES: [Stage; 7] = [
        (1, 16, 1, 1, 3),
        (6, 24, 2, 1, 3),
        (6, 32, 3, 2, 3),
        (6, 64, 4, 2, 3),
        (6, 96, 3, 1, 3),
        (6, 160, 3, 2, 3),
        (6, 320, 1, 1, 3),
    ];
    let mut x = conv_norm(net, "features.0", ["0", "1"], image, conv(32, 3, 1));
    x = relu6(net, "features.0.2", &x);
    let mut index = 0;
    for stage in STAGES {
        for block in 0..stage.2 {
            index += 1;
            let names: &[[&str; 2]] = match stage.0 {
                1 => &[["0.0", "0.1"], ["1", "2"]],
                _ => &[["0.0", "0.1"], ["1.0", "1.1"], ["2", "3"]],
            };
            x = inverted(net, &format!("features.{index}.conv"), names, &x, stage, block);
        }
    }
    x = conv_norm(net, "features.18", ["0", "1"], &x, conv(1280, 1, 1));
    x = relu6(net, "features.18.2", &x);
    classify(net, "classifier.1", &x)
}

/// EfficientNet-Lite0: EfficientNet-B0 without squeeze-and-excitation, ReLU6 for SiLU.
pub(super) fn efficientnet_lite0(net: &mut GraphBuilder, image: &Value) -> Value {
    const STAGES: [Stage; 7] = [
        (1, 16, 1, 1, 3),
        (6, 24, 2, 1, 3),
        (6, 40, 2, 2, 5),
        (6, 80, 3, 2, 3),
        (6, 112, 3, 1, 5),
        (6, 192, 4, 2, 5),
        (6, 320, 1, 1, 3),
    ];
    let mut x = conv_norm(net, "", ["conv_stem", "bn1"], image, conv(32, 3, 1));
    x = relu6(net, "bn1.act", &x);
    for (index, stage) in STAGES.into_iter().enumerate() {
        for block in 0..stage.2 {
            let names: &[[&str; 2]] = match stage.0 {
                1 => &[["conv_dw", "bn1"], ["conv_pw", "bn2"]],
                _ => &[["conv_pw", "bn1"], ["conv_dw", "bn2"], ["conv_pwl", "bn3"]],
            };
            x = inverted(net, &format!("blocks.{index}.{block}"), names, &x, stage, block);
        }
    }
    x = conv_norm(net, "", ["conv_head", "bn2"], &x, conv(1280, 1, 1));
    x = relu6(net, "bn2.act", &x);
    classify(net, "classifier", &x)
}

/// Block number `block` of a stage; `names` are those of its convolutions, each with its norm.
fn inverted(
    net: &mut GraphBuilder,
    at: &str,
    names: &[[&str; 2]],
    x: &Value,
    (expansion, width, _, stride, kernel): Stage,
    block: usize,
) -> Value {
    let stride = if block == 0 { stride } else { 1 };
    let inner = x.channels * expansion;
    let all = [conv(inner, 1, 1), depthwise(inner, kernel, stride), conv(width, 1, 1)];
    let convs: &[Conv] = if expansion == 1 { &all[1..] } else { &all };
    let mut y = x.clone();
    for (index, (&names, &conv)) in names.iter().zip(convs).enumerate() {
        y = conv_norm(net, at, names, &y, conv);
        if index + 1 < convs.len() {
            y = relu6(net, at, &y);
        }
    }
    if stride == 1 && x.channels == width { net.add(at, x, &y) } else { y }
}
