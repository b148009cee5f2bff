//! NAS-Bench-201: a cell of four nodes, an operation on every edge, repeated.

use crate::spaces::build::{GraphBuilder, Pool, Value};

use super::layers::{classify, conv, conv_norm, relu};

/// What an edge of the best cell does.
#[derive(Clone, Copy)]
enum Edge {
    Skip,
    Conv(usize),
}

/// The best cell on CIFAR-10 (94.37 % after 200 epochs, mean of three seeds):
/// `|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|`.
/// A row has the edges into one node, from every node before it.
const BEST: [&[Edge]; 3] = [
    &[Edge::Conv(3)],
    &[Edge::Conv(3), Edge::Conv(3)],
    &[Edge::Skip, Edge::Conv(3), Edge::Conv(1)],
];

/// Three stages of five cells, a residual block of stride 2 between them.
pub(super) fn nas_bench_201(net: &mut GraphBuilder, image: &Value) -> Value {
    let mut x = conv_norm(net, "stem", ["0", "1"], image, conv(16, 3, 1));
    let mut index = 0;
    for width in [16, 32, 64] {
        if width > 16 {
            x = reduction(net, &format!("cells.{index}"), &x, width);
            index += 1;
        }
        for _ in 0..5 {
            x = cell(net, &format!("cells.{index}"), &x);
            index += 1;
        }
    }
    x = net.batch_norm("lastact.0", &x);
    x = relu(net, "lastact.1", &x);
    classify(net, "classifier", &x)
}

fn cell(net: &mut GraphBuilder, at: &str, x: &Value) -> Value {
    let mut nodes = vec![x.clone()];
    let mut layer = 0;
    for edges in BEST {
        let mut sum: Option<Value> = None;
        for (x, edge) in nodes.iter().zip(edges) {
            let y = match *edge {
                Edge::Skip => x.clone(),
                Edge::Conv(kernel) => {
                    early_conv(net, &format!("{at}.layers.{layer}"), x, [x.channels, kernel, 1])
                }
            };
            layer += 1;
            sum = Some(sum.map_or(y.clone(), |sum| net.add(at, &sum, &y)));
        }
        nodes.extend(sum);
    }
    nodes.pop().unwrap_or_else(|| x.clone())
}

fn reduction(net: &mut GraphBuilder, at: &str, x: &Value, width: usize) -> Value {
    let y = early_conv(net, &format!("{at}.conv_a"), x, [width, 3, 2]);
    let y = early_conv(net, &format!("{at}.conv_b"), &y, [width, 3, 1]);
    let short = net.pool(&format!("{at}.downsample.0"), x, Pool::Average, [2, 2, 0]);
    let short = net.conv(&format!("{at}.downsample.1"), &short, conv(width, 1, 1));
    net.add(at, &short, &y)
}

/// ReLU, convolution, batch normalisation.
fn early_conv(
    net: &mut GraphBuilder,
    at: &str,
    x: &Value,
    [out, kernel, stride]: [usize; 3],
) -> Value {
    let y = relu(net, &format!("{at}.op.0"), x);
    conv_norm(net, at, ["op.1", "op.2"], &y, conv(out, kernel, stride))
}
