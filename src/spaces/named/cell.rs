//! NAS-Bench-201: a cell of four nodes, an operation on every edge, repeated.

use crate::spaces::{
    build::{GraphBuilder, Pool, Value},
    cell::{EdgeCell, EdgeOp},
};

use super::layers::{classify, conv, conv_norm, relu};

/// The best cell on CIFAR-10 (94.37 % after 200 epochs, mean of three seeds): all 3×3 convolutions
/// but for the edges into the last node.
const BEST: EdgeCell = {
    let mut edges = [[None; 4]; 4];
    edges[0][1] = Some(EdgeOp::Conv3);
    edges[0][2] = Some(EdgeOp::Conv3);
    edges[1][2] = Some(EdgeOp::Conv3);
    edges[0][3] = Some(EdgeOp::Skip);
    edges[1][3] = Some(EdgeOp::Conv3);
    edges[2][3] = Some(EdgeOp::Conv1);
    EdgeCell { edges }
};

/// The network of the best cell, five to a stage.
pub(super) fn nas_bench_201(net: &mut GraphBuilder, image: &Value) -> Value {
    network(net, image, &BEST, 5)
}

/// Three stages of some cells, a residual block of stride 2 between them.
pub(in crate::spaces) fn network(
    net: &mut GraphBuilder,
    image: &Value,
    edges: &EdgeCell,
    cells: usize,
) -> Value {
    let mut x = conv_norm(net, "stem", ["0", "1"], image, conv(16, 3, 1));
    let mut index = 0;
    for width in [16, 32, 64] {
        if width > 16 {
            x = reduction(net, &format!("cells.{index}"), &x, width);
            index += 1;
        }
        for _ in 0..cells {
            x = cell(net, &format!("cells.{index}"), &x, edges);
            index += 1;
        }
    }
    x = net.batch_norm("lastact.0", &x);
    x = relu(net, "lastact.1", &x);
    classify(net, "classifier", &x)
}

/// A node is the sum of all edges into it. An edge that passes nothing multiplies by zero, as the
/// benchmark's own code does.
fn cell(net: &mut GraphBuilder, at: &str, x: &Value, cell: &EdgeCell) -> Value {
    let mut nodes = vec![x.clone()];
    let mut layer = 0;
    for to in 1..cell.edges.len() {
        let mut sum: Option<Value> = None;
        for (from, x) in nodes.iter().enumerate() {
            let at_edge = format!("{at}.layers.{layer}");
            let y = match cell.edges[from][to] {
                None | Some(EdgeOp::Zero) => net.zeroed(&at_edge, x),
                Some(EdgeOp::Skip) => x.clone(),
                Some(EdgeOp::Conv1) => early_conv(net, &at_edge, x, [x.channels, 1, 1]),
                Some(EdgeOp::Conv3) => early_conv(net, &at_edge, x, [x.channels, 3, 1]),
                Some(EdgeOp::AveragePool) => net.mean_pool(&at_edge, x, [3, 1, 1]),
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
