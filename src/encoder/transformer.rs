//! The graph transformer.

use burn::{
    module::{Module, Param},
    nn::{LayerNorm, LayerNormConfig, Linear},
    tensor::{Device, Int, Tensor, activation},
};

use super::{EncoderConfig, NUMERIC, NodeBatch, NodeFeatures, features::POSITIONS};
use crate::neural::{gelu, linear, matrix, table};

/// Node features in, one token per node out.
#[derive(Module, Debug)]
pub struct GraphEncoder {
    operators: Param<Tensor<2>>,
    numeric: Linear,
    blocks: Vec<Block>,
    norm: LayerNorm,
    further: Option<Linear>,
    positions: bool,
}

#[derive(Module, Debug)]
struct Block {
    attention_norm: LayerNorm,
    query_key_value: Linear,
    relations: Param<Tensor<2>>,
    output: Linear,
    feed_norm: LayerNorm,
    widen: Linear,
    narrow: Linear,
}

impl GraphEncoder {
    /// An encoder for a vocabulary of `operators` operators (one more row for unknown ones).
    /// All values are zero or one until a checkpoint or an initialisation is loaded.
    pub fn new(config: &EncoderConfig, operators: usize, device: &Device) -> Self {
        let width = config.width;
        let norm = || LayerNormConfig::new(width).init(device);
        let layers = if config.message_passing { config.layers } else { 0 };
        let blocks = (0..layers)
            .map(|_| Block {
                attention_norm: norm(),
                query_key_value: linear(width, 3 * width, device),
                relations: table(NodeFeatures::RELATIONS, config.heads, device),
                output: linear(width, width, device),
                feed_norm: norm(),
                widen: linear(width, 2 * width, device),
                narrow: linear(2 * width, width, device),
            })
            .collect();
        Self {
            operators: table(operators + 1, width, device),
            numeric: linear(NUMERIC, width, device),
            blocks,
            norm: norm(),
            further: match config.further.len() {
                0 => None,
                features => Some(matrix(features, width, device)),
            },
            positions: config.positions,
        }
    }

    /// The embedding of every operator, `[operators + 1, width]`; the last is for unknown ones.
    pub fn operators(&self) -> Tensor<2> {
        self.operators.val()
    }

    /// The same encoder with more embeddings `[rows, width]` behind its own.
    pub fn with_further_operators(mut self, rows: Tensor<2>) -> Self {
        self.operators = self.operators.map(|operators| Tensor::cat(vec![operators, rows], 0));
        self
    }

    /// Tokens `[graphs · nodes, width]`; rows of padding hold nothing of use. `condition`, of the same
    /// shape, is added to what the nodes' features say before nodes hear of each other.
    pub fn forward(&self, batch: &NodeBatch, condition: Option<Tensor<2>>) -> Tensor<2> {
        let mut numeric = batch.numeric.clone();
        if !self.positions {
            let rows = numeric.dims()[0];
            numeric = numeric.slice_fill([0..rows, POSITIONS], 0.0);
        }
        let mut tokens =
            self.operators.val().select(0, batch.operators.clone()) + self.numeric.forward(numeric);
        if let (Some(matrix), Some(further)) = (&self.further, &batch.further) {
            tokens = tokens + matrix.forward(further.clone());
        }
        if let Some(condition) = condition {
            tokens = tokens + condition;
        }
        for block in &self.blocks {
            tokens = block.forward(tokens, batch);
        }
        self.norm.forward(tokens)
    }
}

impl Block {
    fn forward(&self, tokens: Tensor<2>, batch: &NodeBatch) -> Tensor<2> {
        let [rows, width] = tokens.dims();
        let attended = self.attend(self.attention_norm.forward(tokens.clone()), batch);
        let tokens = tokens + self.output.forward(attended.reshape([rows, width]));
        let wide = gelu(self.widen.forward(self.feed_norm.forward(tokens.clone())));
        tokens + self.narrow.forward(wide)
    }

    fn attend(&self, tokens: Tensor<2>, batch: &NodeBatch) -> Tensor<3> {
        let [_, width] = tokens.dims();
        let (graphs, nodes) = (batch.graphs, batch.nodes);
        let heads = self.relations.val().dims()[1];
        let size = width / heads;
        let projected = self
            .query_key_value
            .forward(tokens)
            .reshape([graphs, nodes, 3, heads, size])
            .permute([2, 0, 3, 1, 4]);
        let part = |index: usize| -> Tensor<4> {
            projected.clone().narrow(0, index, 1).squeeze_dim::<4>(0)
        };
        let scores = part(0).matmul(part(1).transpose()) / (size as f32).sqrt();
        let bias = relation_bias(self.relations.val(), batch.relations.clone(), graphs, nodes);
        let weights = activation::softmax(scores + bias + batch.mask.clone(), 3);
        weights.matmul(part(2)).swap_dims(1, 2).reshape([graphs, nodes, width])
    }
}

/// `[graphs, heads, nodes, nodes]` from a table `[relations, heads]`.
fn relation_bias(
    table: Tensor<2>,
    relations: Tensor<1, Int>,
    graphs: usize,
    nodes: usize,
) -> Tensor<4> {
    let heads = table.dims()[1];
    table.select(0, relations).reshape([graphs, nodes, nodes, heads]).permute([0, 3, 1, 2])
}
