//! Several graphs padded to one tensor.

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::neural::{padded, upload};

use super::{NUMERIC, NodeFeatures};

/// Node features of `graphs` architectures, padded to the `nodes` of the largest.
#[derive(Clone, Debug)]
pub struct NodeBatch {
    /// Number of graphs.
    pub graphs: usize,
    /// Nodes per graph after padding.
    pub nodes: usize,
    /// Operator indices, `[graphs · nodes]`.
    pub operators: Tensor<1, Int>,
    /// Numeric features, `[graphs · nodes, NUMERIC]`.
    pub numeric: Tensor<2>,
    /// Further features, `[graphs · nodes, features]`, if the graphs have any.
    pub further: Option<Tensor<2>>,
    /// Relation buckets, `[graphs · nodes · nodes]`.
    pub relations: Tensor<1, Int>,
    /// 0 for nodes, a large negative number for padding, `[graphs, 1, 1, nodes]`.
    pub mask: Tensor<4>,
}

impl NodeBatch {
    /// Pads and uploads. The device decides whether gradients are tracked later.
    pub fn new(graphs: &[&NodeFeatures], device: &Device) -> Self {
        let nodes = graphs.iter().map(|graph| graph.len()).max().unwrap_or(0).max(1);
        let nodes = padded(nodes, device);
        let count = graphs.len();
        let mut operators = vec![0i32; count * nodes];
        let mut numeric = vec![0f32; count * nodes * NUMERIC];
        let width = graphs.iter().map(|graph| graph.further.len() / graph.len().max(1)).max();
        let width = width.unwrap_or(0);
        let mut further = vec![0f32; count * nodes * width];
        let mut relations = vec![0i32; count * nodes * nodes];
        let mut mask = vec![-1e9f32; count * nodes];
        for (position, graph) in graphs.iter().enumerate() {
            let length = graph.len();
            let start = position * nodes;
            for (to, &from) in operators[start..].iter_mut().zip(&graph.operators) {
                *to = from as i32;
            }
            numeric[start * NUMERIC..][..length * NUMERIC].copy_from_slice(&graph.numeric);
            further[start * width..][..graph.further.len()].copy_from_slice(&graph.further);
            for row in 0..length {
                let to = &mut relations[(start + row) * nodes..][..length];
                for (to, &from) in to.iter_mut().zip(&graph.relations[row * length..]) {
                    *to = i32::from(from);
                }
            }
            mask[start..][..length].fill(0.0);
        }
        Self {
            graphs: count,
            nodes,
            operators: ints(operators, device),
            numeric: Tensor::from_data(TensorData::new(numeric, [count * nodes, NUMERIC]), device),
            further: (width > 0).then(|| upload(further, [count * nodes, width], device)),
            relations: ints(relations, device),
            mask: Tensor::from_data(TensorData::new(mask, [count, 1, 1, nodes]), device),
        }
    }
}

fn ints(values: Vec<i32>, device: &Device) -> Tensor<1, Int> {
    let length = values.len();
    Tensor::from_data(TensorData::new(values, [length]), device)
}
