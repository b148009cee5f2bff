//! Layers over sequences of tokens, spelled as PyTorch's exporter spells them.

use super::build::{Activation, Attribute, GraphBuilder, Value};

impl GraphBuilder {
    /// Pixels become tokens: `[N, channels, height, width]` → `[N, height · width, channels]`, here a
    /// value of that many channels, `height · width` tall and one wide.
    pub(super) fn tokens(&mut self, path: &str, x: &Value) -> Value {
        let [height, width] = x.extent.unwrap_or([1, 1]);
        let flat = self.reshape(path, x, &[0, x.channels as i64, -1]);
        let tokens = self.transpose(path, &flat, &[0, 2, 1]);
        Value { extent: Some([height * width, 1]), ..tokens }
    }

    /// `Add` of a learned `[1, tokens, channels]` table.
    pub(super) fn positions(&mut self, field: &str, x: &Value) -> Value {
        let [tokens, _] = x.extent.unwrap_or([1, 1]);
        let table = self.parameter("", field, &[1, tokens, x.channels]);
        self.map("", "Add", x, vec![x.name.clone(), table], vec![])
    }

    /// `LayerNormalization` of each token.
    pub(super) fn layer_norm(&mut self, path: &str, x: &Value) -> Value {
        let mut inputs = vec![x.name.clone()];
        for field in ["weight", "bias"] {
            inputs.push(self.parameter(path, field, &[x.channels]));
        }
        let attributes = vec![("axis", Attribute::Int(-1)), ("epsilon", Attribute::Float(1e-6))];
        self.map(path, "LayerNormalization", x, inputs, attributes)
    }

    /// `nn.Linear` of each token: `Transpose` of the `[out, in]` weight, `MatMul`, `Add`.
    pub(super) fn token_linear(&mut self, path: &str, x: &Value, out: usize) -> Value {
        let weight = self.parameter(path, "weight", &[out, x.channels]);
        let bias = self.parameter(path, "bias", &[out]);
        let weight = Value { name: weight, ..x.clone() };
        let weight = self.transpose(path, &weight, &[1, 0]);
        let product = self.matmul(path, x, &weight);
        self.multiply_accumulate(x, out);
        let inputs = vec![bias, product.name];
        let y = self.map(path, "Add", x, inputs, vec![]);
        Value { channels: out, depth: x.depth + 1, ..y }
    }

    /// Multi-head self-attention with an output projection.
    pub(super) fn attention(&mut self, path: &str, x: &Value, heads: usize) -> Value {
        let [tokens, _] = x.extent.unwrap_or([1, 1]);
        let size = x.channels / heads;
        let split = [0, tokens as i64, heads as i64, size as i64];
        let mut part = |name: &str, order: [i64; 4]| {
            let y = self.token_linear(&format!("{path}.{name}"), x, x.channels);
            let y = self.reshape(path, &y, &split);
            self.transpose(path, &y, &order)
        };
        let query = part("query", [0, 2, 1, 3]);
        let key = part("key", [0, 2, 3, 1]);
        let value = part("value", [0, 2, 1, 3]);
        let scores = self.matmul(path, &query, &key);
        let scale = self.constant(path, "value_float", Attribute::Float((size as f32).powf(-0.5)));
        let scores = self.map(path, "Mul", x, vec![scores.name, scale], vec![]);
        let axis = vec![("axis", Attribute::Int(-1))];
        let weights = self.map(path, "Softmax", x, vec![scores.name], axis);
        let mixed = self.matmul(path, &weights, &value);
        let mixed = self.transpose(path, &mixed, &[0, 2, 1, 3]);
        let mixed = self.reshape(path, &mixed, &[0, tokens as i64, x.channels as i64]);
        let mixed = Value { depth: value.depth, ..mixed };
        self.token_linear(&format!("{path}.output"), &mixed, x.channels)
    }

    /// Two linear layers with a Gelu between them.
    pub(super) fn feed_forward(&mut self, path: &str, x: &Value, wide: usize) -> Value {
        let y = self.token_linear(&format!("{path}.fc1"), x, wide);
        let y = self.activation(path, &y, Activation::Gelu);
        self.token_linear(&format!("{path}.fc2"), &y, x.channels)
    }

    /// The mean of all tokens, `[N, channels]`.
    pub(super) fn mean_token(&mut self, path: &str, x: &Value) -> Value {
        let axes = self.constant(path, "value_ints", Attribute::Ints(vec![1]));
        let attributes = vec![("keepdims", Attribute::Int(0))];
        let y = self.map(path, "ReduceMean", x, vec![x.name.clone(), axes], attributes);
        Value { extent: None, ..y }
    }

    pub(super) fn reshape(&mut self, path: &str, x: &Value, shape: &[i64]) -> Value {
        let shape = self.constant(path, "value_ints", Attribute::Ints(shape.to_vec()));
        self.map(path, "Reshape", x, vec![x.name.clone(), shape], vec![])
    }

    pub(super) fn transpose(&mut self, path: &str, x: &Value, order: &[i64]) -> Value {
        let attributes = vec![("perm", Attribute::Ints(order.to_vec()))];
        self.map(path, "Transpose", x, vec![x.name.clone()], attributes)
    }

    fn matmul(&mut self, path: &str, left: &Value, right: &Value) -> Value {
        self.map(path, "MatMul", left, vec![left.name.clone(), right.name.clone()], vec![])
    }

    pub(super) fn constant(&mut self, path: &str, form: &'static str, value: Attribute) -> String {
        self.node(path, "Constant", vec![], vec![(form, value)])
    }
}
