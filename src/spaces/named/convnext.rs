//! ConvNeXt: depthwise 7 × 7, layer normalisation over the channels, two 1 × 1 convolutions.

use crate::spaces::build::{Activation, Conv, GraphBuilder, Value};

use super::CLASSES;

/// ConvNeXt-atto.
pub(super) fn convnext_atto(net: &mut GraphBuilder, image: &Value) -> Value {
    let conv = |out, kernel, stride| Conv { out, kernel, stride, groups: 1, bias: true };
    let mut x = net.padded_conv("stem.0", image, conv(40, 4, 2), 1);
    x = channel_norm(net, "stem.1", &x);
    for (stage, (blocks, width)) in [(2, 40), (2, 80), (6, 160), (2, 320)].into_iter().enumerate() {
        let at = format!("stages.{stage}");
        if stage > 0 {
            x = channel_norm(net, &format!("{at}.downsample.0"), &x);
            x = net.patches(&format!("{at}.downsample.1"), &x, conv(width, 2, 2));
        }
        for block in 0..blocks {
            let at = &format!("{at}.blocks.{block}");
            let wide = Conv { groups: width, ..conv(width, 7, 1) };
            let mut y = net.conv(&format!("{at}.conv_dw"), &x, wide);
            y = channel_norm(net, &format!("{at}.norm"), &y);
            y = net.conv(&format!("{at}.mlp.fc1"), &y, conv(4 * width, 1, 1));
            y = net.activation(&format!("{at}.mlp.act"), &y, Activation::Gelu);
            y = net.conv(&format!("{at}.mlp.fc2"), &y, conv(width, 1, 1));
            y = net.channel_scale(at, "gamma", &y);
            x = net.add(at, &y, &x);
        }
    }
    x = net.global_average_pool("head.global_pool", &x);
    x = channel_norm(net, "head.norm", &x);
    x = net.flatten("head.flatten", &x);
    net.linear("head.fc", &x, CLASSES)
}

/// Layer normalisation of every pixel: channels last and back.
fn channel_norm(net: &mut GraphBuilder, path: &str, x: &Value) -> Value {
    let last = net.transpose(path, x, &[0, 2, 3, 1]);
    let y = net.layer_norm(path, &last);
    net.transpose(path, &y, &[0, 3, 1, 2])
}
