//! ShuffleNet: half of the channels pass by, the halves are interleaved.

use crate::spaces::{
    build::{GraphBuilder, Value},
    graph::Attribute,
};

use super::layers::{classify, conv, conv_norm, depthwise, relu};

/// ShuffleNetV2 of width 1.
pub(super) fn shufflenet_v2(net: &mut GraphBuilder, image: &Value) -> Value {
    let mut x = conv_norm(net, "conv1", ["0", "1"], image, conv(24, 3, 1));
    x = relu(net, "conv1.2", &x);
    for (stage, blocks, width) in [(2, 4, 116), (3, 8, 232), (4, 4, 464)] {
        for block in 0..blocks {
            let at = &format!("stage{stage}.{block}");
            let half = width / 2;
            let (left, right) = if block == 0 {
                let short = &format!("{at}.branch1");
                let y = conv_norm(net, short, ["0", "1"], &x, depthwise(x.channels, 3, 2));
                let y = conv_norm(net, short, ["2", "3"], &y, conv(half, 1, 1));
                (relu(net, &format!("{short}.4"), &y), branch(net, at, &x, half, 2))
            } else {
                let right = channels(net, at, &x, half..width);
                (channels(net, at, &x, 0..half), branch(net, at, &right, half, 1))
            };
            x = net.concat(at, &[left, right]).unwrap_or(x);
            x = interleave(net, at, &x);
        }
    }
    x = conv_norm(net, "conv5", ["0", "1"], &x, conv(1024, 1, 1));
    x = relu(net, "conv5.2", &x);
    classify(net, "fc", &x)
}

/// 1 × 1, depthwise, 1 × 1.
fn branch(net: &mut GraphBuilder, at: &str, x: &Value, width: usize, stride: usize) -> Value {
    let at = &format!("{at}.branch2");
    let y = conv_norm(net, at, ["0", "1"], x, conv(width, 1, 1));
    let y = relu(net, &format!("{at}.2"), &y);
    let y = conv_norm(net, at, ["3", "4"], &y, depthwise(width, 3, stride));
    let y = conv_norm(net, at, ["5", "6"], &y, conv(width, 1, 1));
    relu(net, &format!("{at}.7"), &y)
}

/// `Slice` of some channels.
fn channels(net: &mut GraphBuilder, at: &str, x: &Value, range: std::ops::Range<usize>) -> Value {
    let mut inputs = vec![x.name.clone()];
    for bound in [range.start, range.end, 1] {
        inputs.push(net.constant(at, "value_ints", Attribute::Ints(vec![bound as i64])));
    }
    Value { channels: range.len(), ..net.map(at, "Slice", x, inputs, vec![]) }
}

/// The channels of the two halves in turn.
fn interleave(net: &mut GraphBuilder, at: &str, x: &Value) -> Value {
    let channels = x.channels as i64;
    let [height, width] = x.extent.unwrap_or([1, 1]).map(|size| size as i64);
    let y = net.reshape(at, x, &[0, 2, channels / 2, height, width]);
    let y = net.transpose(at, &y, &[0, 2, 1, 3, 4]);
    net.reshape(at, &y, &[0, channels, height, width])
}
