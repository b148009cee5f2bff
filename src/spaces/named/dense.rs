//! Networks that concatenate.

use crate::spaces::build::{Conv, GraphBuilder, Pool, Value};

use super::{
    CLASSES,
    layers::{classify, conv, relu},
};

/// DenseNet-40 of growth 12, without bottlenecks or compression.
pub(super) fn densenet40(net: &mut GraphBuilder, image: &Value) -> Value {
    let mut x = net.conv("conv1", image, conv(16, 3, 1));
    for block in 1..=3 {
        for layer in 0..12 {
            let at = &format!("block{block}.layer.{layer}");
            let y = early_conv(net, at, &x, conv(12, 3, 1));
            x = net.concat(at, &[x.clone(), y]).unwrap_or(x);
        }
        if block < 3 {
            let at = &format!("trans{block}");
            x = early_conv(net, at, &x, conv(x.channels, 1, 1));
            x = net.pool(at, &x, Pool::Average, [2, 2, 0]);
        }
    }
    x = net.batch_norm("bn1", &x);
    x = relu(net, "relu", &x);
    classify(net, "fc", &x)
}

fn early_conv(net: &mut GraphBuilder, at: &str, x: &Value, conv: Conv) -> Value {
    let y = net.batch_norm(&format!("{at}.bn1"), x);
    let y = relu(net, &format!("{at}.relu"), &y);
    net.conv(&format!("{at}.conv1"), &y, conv)
}

/// SqueezeNet 1.1: fire modules, which squeeze by 1 × 1 and expand by 1 × 1 beside 3 × 3.
pub(super) fn squeezenet(net: &mut GraphBuilder, image: &Value) -> Value {
    let conv = |out, kernel| Conv { out, kernel, stride: 1, groups: 1, bias: true };
    let mut x = net.conv("features.0", image, conv(64, 3));
    x = relu(net, "features.1", &x);
    let fires = [(3, 16, 64), (4, 16, 64), (6, 32, 128), (7, 32, 128)];
    let more = [(9, 48, 192), (10, 48, 192), (11, 64, 256), (12, 64, 256)];
    for (index, narrow, wide) in fires.into_iter().chain(more) {
        if matches!(index, 3 | 6 | 9) {
            x = net.pool(&format!("features.{}", index - 1), &x, Pool::Max, [3, 2, 1]);
        }
        let at = &format!("features.{index}");
        let y = net.conv(&format!("{at}.squeeze"), &x, conv(narrow, 1));
        let y = relu(net, &format!("{at}.squeeze_activation"), &y);
        let expanded = [("1x1", 1), ("3x3", 3)].map(|(name, kernel)| {
            let z = net.conv(&format!("{at}.expand{name}"), &y, conv(wide, kernel));
            relu(net, &format!("{at}.expand{name}_activation"), &z)
        });
        x = net.concat(at, &expanded).unwrap_or(x);
    }
    x = net.conv("classifier.1", &x, conv(CLASSES, 1));
    x = relu(net, "classifier.2", &x);
    x = net.global_average_pool("classifier.3", &x);
    net.flatten("", &x)
}
