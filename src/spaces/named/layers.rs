//! What networks of several families are made of.

use crate::spaces::{
    build::{Activation, Conv, GraphBuilder, Value},
    graph::Attribute,
};

use super::CLASSES;

/// A convolution without bias, over all channels.
pub(in crate::spaces) fn conv(out: usize, kernel: usize, stride: usize) -> Conv {
    Conv { out, kernel, stride, groups: 1, bias: false }
}

/// A convolution without bias of every channel by itself.
pub(super) fn depthwise(channels: usize, kernel: usize, stride: usize) -> Conv {
    Conv { groups: channels, ..conv(channels, kernel, stride) }
}

/// Convolution and batch normalisation; `names` are theirs, below `at`.
pub(in crate::spaces) fn conv_norm(
    net: &mut GraphBuilder,
    at: &str,
    names: [&str; 2],
    x: &Value,
    conv: Conv,
) -> Value {
    let [conv_path, norm_path] = names.map(|name| below(at, name));
    let y = net.conv(&conv_path, x, conv);
    net.batch_norm(&norm_path, &y)
}

/// A module path one level down.
pub(super) fn below(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}

/// `Relu`
pub(in crate::spaces) fn relu(net: &mut GraphBuilder, at: &str, x: &Value) -> Value {
    net.activation(at, x, Activation::Relu)
}

/// `Clip` between 0 and 6.
pub(super) fn relu6(net: &mut GraphBuilder, at: &str, x: &Value) -> Value {
    let [low, high] =
        [0.0, 6.0].map(|bound| net.constant(at, "value_float", Attribute::Float(bound)));
    net.map(at, "Clip", x, vec![x.name.clone(), low, high], vec![])
}

/// Global average pool, and a linear classifier of that name.
pub(in crate::spaces) fn classify(net: &mut GraphBuilder, path: &str, x: &Value) -> Value {
    let pooled = net.global_average_pool("", x);
    let flat = net.flatten("", &pooled);
    net.linear(path, &flat, CLASSES)
}
