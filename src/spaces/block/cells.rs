//! Cells of the tabular NAS benchmarks and the blocks between them.

use super::{
    super::{
        build::{Conv, Pool, Value},
        cell::{EdgeCell, EdgeOp, VertexCell, VertexOp},
    },
    Layers,
};

impl Layers<'_> {
    /// NAS-Bench-Macro's identity: a wire, or a linear 1×1 convolution where the shape changes.
    pub(super) fn project(&mut self, at: &str, x: &Value, width: usize, stride: usize) -> Value {
        if stride == 1 && width == x.channels {
            return x.clone();
        }
        let conv = self.dense_conv(width, 1, stride);
        let y = self.builder.conv(&format!("{at}.conv"), x, conv);
        self.norm(&format!("{at}.norm"), &y)
    }

    /// NAS-Bench-201's residual block, the shortcut averaged and not normalised.
    pub(super) fn reduce(&mut self, at: &str, x: &Value, width: usize, stride: usize) -> Value {
        let conv = self.dense_conv(width, 3, stride);
        let y = self.turned(&format!("{at}.conv_a"), x, conv);
        let conv = self.dense_conv(width, 3, 1);
        let y = self.turned(&format!("{at}.conv_b"), &y, conv);
        let mut shortcut = x.clone();
        if x.extent != y.extent || x.channels != y.channels {
            let even = x.extent.is_some_and(|extent| extent.iter().all(|size| size % 2 == 0));
            let pooled = stride == 2 && even;
            if pooled {
                let path = format!("{at}.downsample.0");
                shortcut = self.builder.pool(&path, x, Pool::Average, [2, 2, 0]);
            }
            let conv = self.dense_conv(width, 1, if pooled { 1 } else { stride });
            shortcut = self.builder.conv(&format!("{at}.downsample.1"), &shortcut, conv);
        }
        self.builder.add(at, &shortcut, &y)
    }

    /// A cell with an operator on every edge: of NAS-Bench-201, whose edges keep the shape, or of
    /// TransNAS-Bench-101, whose edges out of the input bring it to `width` and lower its resolution by
    /// `stride`.
    pub(super) fn edge_cell(
        &mut self,
        at: &str,
        x: &Value,
        cell: &EdgeCell,
        [width, stride]: [usize; 2],
    ) -> Value {
        let mut nodes: Vec<Option<Value>> = vec![Some(x.clone())];
        for to in 1..cell.edges.len() {
            let mut sum: Option<Value> = None;
            for (from, row) in cell.edges.iter().enumerate().take(to) {
                let (Some(op), Some(source)) = (row[to], nodes[from].clone()) else { continue };
                let path = format!("{at}.edges.{to}.{from}");
                let stride = if from == 0 { stride } else { 1 };
                let y = match op {
                    EdgeOp::Conv1 => self.turned(&path, &source, self.dense_conv(width, 1, stride)),
                    EdgeOp::Conv3 => self.turned(&path, &source, self.dense_conv(width, 3, stride)),
                    _ => self.reshaped(&path, &source, width, stride),
                };
                let y = match op {
                    EdgeOp::AveragePool => self.builder.mean_pool(&path, &y, [3, 1, 1]),
                    EdgeOp::Zero => self.builder.zeroed(&path, &y),
                    _ => y,
                };
                sum = Some(match sum {
                    Some(sum) => self.builder.add(at, &sum, &y),
                    None => y,
                });
            }
            nodes.push(sum);
        }
        nodes.pop().flatten().unwrap_or_else(|| x.clone())
    }

    /// `x` as it is where the shape stays. Otherwise activation, a 1×1 convolution, and a norm; of stride 2
    /// half of the channels read the image shifted by a pixel (the factorised reduction of DARTS).
    pub(super) fn reshaped(&mut self, at: &str, x: &Value, width: usize, stride: usize) -> Value {
        if stride == 1 && width == x.channels {
            return x.clone();
        }
        if stride == 1 {
            return self.turned(at, x, self.dense_conv(width, 1, 1));
        }
        let y = self.activate(&format!("{at}.relu"), x);
        let conv = self.dense_conv(width / 2, 1, stride);
        let even = self.builder.conv(&format!("{at}.conv_1"), &y, conv);
        let wide = x.extent.is_some_and(|extent| extent.iter().all(|size| size % 2 == 0));
        let y = if wide { self.builder.shifted(at, &y) } else { y };
        let conv = self.dense_conv(width - width / 2, 1, stride);
        let odd = self.builder.conv(&format!("{at}.conv_2"), &y, conv);
        let y = self.builder.concat(at, &[even.clone(), odd]).unwrap_or(even);
        self.norm(&format!("{at}.bn"), &y)
    }

    /// A cell of NAS-Bench-101: the input is projected for each of its readers, interior vertices are
    /// cut to what their readers take, and the output joins what reaches it.
    pub(super) fn vertex_cell(
        &mut self,
        at: &str,
        x: &Value,
        width: usize,
        cell: &VertexCell,
    ) -> Value {
        let channels = cell.channels(x.channels, width);
        let last = cell.vertices() - 1;
        let mut vertices = vec![x.clone()];
        for (index, op) in cell.ops.iter().enumerate() {
            let vertex = index + 1;
            let at = format!("{at}.vertex{vertex}");
            let mut sum: Option<Value> = None;
            for source in cell.sources(vertex) {
                let y = if source == 0 {
                    let conv = self.dense_conv(channels[vertex], 1, 1);
                    self.unit(&format!("{at}.input"), "", x, conv)
                } else if channels[source] > channels[vertex] {
                    self.builder.first_channels(&at, &vertices[source], channels[vertex])
                } else {
                    vertices[source].clone()
                };
                sum = Some(match sum {
                    Some(sum) => self.builder.add(&at, &sum, &y),
                    None => y,
                });
            }
            let sum = sum.unwrap_or_else(|| x.clone());
            vertices.push(match *op {
                VertexOp::Conv(kernel) => {
                    let conv = self.dense_conv(channels[vertex], kernel, 1);
                    self.unit(&at, "", &sum, conv)
                }
                VertexOp::MaxPool => {
                    self.builder.pool(&format!("{at}.pool"), &sum, Pool::Max, [3, 1, 1])
                }
            });
        }
        let ends: Vec<_> = cell.sources(last).filter(|&source| source > 0).collect();
        let parts: Vec<_> = ends.iter().map(|&source| vertices[source].clone()).collect();
        let joined = match parts.as_slice() {
            [only] => Some(only.clone()),
            parts => self.builder.concat(at, parts),
        };
        let conv = self.dense_conv(width, 1, 1);
        match joined {
            Some(joined) if !cell.sources(last).any(|source| source == 0) => joined,
            joined => {
                let projected = self.unit(&format!("{at}.input"), "", x, conv);
                match joined {
                    Some(joined) => self.builder.add(at, &joined, &projected),
                    None => projected,
                }
            }
        }
    }

    /// Activation, convolution, norm.
    pub(super) fn turned(&mut self, at: &str, x: &Value, conv: Conv) -> Value {
        let y = self.activate(&format!("{at}.op.0"), x);
        let y = self.builder.conv(&format!("{at}.op.1"), &y, conv);
        self.norm(&format!("{at}.op.2"), &y)
    }
}
