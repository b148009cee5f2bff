//! Layers that cut, turn and mix axes, over sequences of tokens or images with their channels last,
//! spelled as PyTorch's exporter spells them.

use super::{
    build::{Activation, GraphBuilder, Value},
    graph::Attribute,
    plan::{Attention, Projection, Scale},
};

impl GraphBuilder {
    /// Pixels become tokens: `[N, channels, height, width]` → `[N, height · width, channels]`, here a
    /// value of that many channels, `height · width` tall and one wide.
    pub(super) fn tokens(&mut self, path: &str, x: &Value) -> Value {
        let [height, width] = x.extent.unwrap_or([1, 1]);
        let flat = self.reshape(path, x, &[0, x.channels as i64, -1]);
        let tokens = self.transpose(path, &flat, &[0, 2, 1]);
        Value { extent: Some([height * width, 1]), ..tokens }
    }

    /// `Concat` of a learned `[1, 1, channels]` token, expanded to the batch, and the tokens.
    pub(super) fn class_token(&mut self, field: &str, x: &Value) -> Value {
        let [tokens, _] = x.extent.unwrap_or([1, 1]);
        let token = self.parameter("", field, &[1, 1, x.channels]);
        let first = vec![("end", Attribute::Int(1)), ("start", Attribute::Int(0))];
        let batch = self.node("", "Shape", vec![x.name.clone()], first);
        let one = Attribute::Ints(vec![1, x.channels as i64]);
        let one = self.constant("", "value_ints", one);
        let shape = self.node("", "Concat", vec![batch, one], vec![("axis", Attribute::Int(0))]);
        let token = self.node("", "Expand", vec![token, shape], vec![]);
        let axis = vec![("axis", Attribute::Int(1))];
        let y = self.map("", "Concat", x, vec![token, x.name.clone()], axis);
        Value { extent: Some([tokens + 1, 1]), ..y }
    }

    /// The first token, `[N, channels]`.
    pub(super) fn first_token(&mut self, path: &str, x: &Value) -> Value {
        let first = self.constant(path, "value_int", Attribute::Int(0));
        let axis = vec![("axis", Attribute::Int(1))];
        let y = self.map(path, "Gather", x, vec![x.name.clone(), first], axis);
        Value { extent: None, ..y }
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

    /// Multi-head self-attention over a fixed number of tokens, with an output projection.
    pub(super) fn attention(&mut self, path: &str, x: &Value, heads: usize) -> Value {
        let (projection, scale) = (Projection::Separate, Scale::Scores);
        self.attend(path, x, Attention { heads, projection, scale }, x.area() as i64)
    }

    /// The same in any spelling; `tokens` is their number, or −1 for whatever it is.
    pub(super) fn attend(
        &mut self,
        path: &str,
        x: &Value,
        Attention { heads, projection, scale }: Attention,
        tokens: i64,
    ) -> Value {
        let size = x.channels / heads;
        let [mut query, mut key, value] = match projection {
            Projection::Separate => {
                let names = ["query", "key", "value"].map(|name| format!("{path}.{name}"));
                let orders = [[0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]];
                let mut part = |name: &str, order: [i64; 4]| {
                    let y = self.token_linear(name, x, x.channels);
                    self.heads(path, &y, [tokens, heads as i64, size as i64], &order)
                };
                std::array::from_fn(|index| part(&names[index], orders[index]))
            }
            Projection::Chunked => {
                let joined = self.token_linear(&format!("{path}.to_qkv"), x, 3 * x.channels);
                let parts = self.split(path, &joined, &[x.channels; 3], -1);
                let orders = [[0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]];
                let split = [tokens, heads as i64, size as i64];
                std::array::from_fn(|index| self.heads(path, &parts[index], split, &orders[index]))
            }
            Projection::Unbound => {
                let joined = self.token_linear(&format!("{path}.qkv"), x, 3 * x.channels);
                let split = [0, tokens, 3, heads as i64, size as i64];
                let joined = self.reshape(path, &joined, &split);
                let [query, key, value] = self.unbound(path, &joined);
                [query, self.transpose(path, &key, &[0, 1, 3, 2]), value]
            }
        };
        let value = Value { channels: x.channels, ..value };
        let root = (size as f32).sqrt();
        match scale {
            Scale::Queries => query = self.scaled(path, &query, "Mul", 1.0 / root),
            Scale::Both => {
                query = self.scaled(path, &query, "Mul", root.powf(-0.5));
                key = self.scaled(path, &key, "Mul", root.powf(-0.5));
            }
            Scale::Scores | Scale::Divided => {}
        }
        let mut scores = self.matmul(path, &query, &key);
        match scale {
            Scale::Scores => scores = self.scaled(path, &scores, "Mul", (size as f32).powf(-0.5)),
            Scale::Divided => scores = self.scaled(path, &scores, "Div", root),
            Scale::Queries | Scale::Both => {}
        }
        let seen = usize::try_from(tokens).unwrap_or(x.area());
        let mixed = self.mixed(path, x, scores, &value, seen, tokens);
        self.token_linear(&format!("{path}.output"), &mixed, x.channels)
    }

    /// The mean of values `[N, heads, seen, size]`, weighed by the softmax of scores, as `[N, tokens, heads · size]`;
    /// `tokens` as for [`attend`](Self::attend).
    pub(super) fn mixed(
        &mut self,
        path: &str,
        x: &Value,
        scores: Value,
        value: &Value,
        seen: usize,
        tokens: i64,
    ) -> Value {
        let axis = vec![("axis", Attribute::Int(-1))];
        let weights = self.map(path, "Softmax", x, vec![scores.name], axis);
        let mixed = self.matmul(path, &weights, value);
        for _ in 0..2 {
            self.multiply_accumulate(x, seen);
        }
        let mixed = self.transpose(path, &mixed, &[0, 2, 1, 3]);
        let mixed = self.reshape(path, &mixed, &[0, tokens, x.channels as i64]);
        Value { depth: value.depth, ..mixed }
    }

    /// `[N, tokens, parts, heads, size]`, permuted and unbound: `[N, heads, tokens, size]` each.
    pub(super) fn unbound<const PARTS: usize>(
        &mut self,
        path: &str,
        joined: &Value,
    ) -> [Value; PARTS] {
        let joined = self.transpose(path, joined, &[2, 0, 3, 1, 4]);
        let parts = self.split(path, &joined, &[1; PARTS], 0);
        std::array::from_fn(|index| {
            let axes = self.constant(path, "value_ints", Attribute::Ints(vec![0]));
            let inputs = vec![parts[index].name.clone(), axes];
            self.map(path, "Squeeze", &parts[index], inputs, vec![])
        })
    }

    /// `[N, tokens, heads · size]` with an axis for the heads, then permuted.
    pub(super) fn heads(
        &mut self,
        path: &str,
        x: &Value,
        split: [i64; 3],
        order: &[i64; 4],
    ) -> Value {
        let [tokens, heads, size] = split;
        let y = self.reshape(path, x, &[0, tokens, heads, size]);
        self.transpose(path, &y, order)
    }

    pub(super) fn scaled(
        &mut self,
        path: &str,
        x: &Value,
        op_type: &'static str,
        factor: f32,
    ) -> Value {
        let factor = self.constant(path, "value_float", Attribute::Float(factor));
        self.map(path, op_type, x, vec![x.name.clone(), factor], vec![])
    }

    /// Two linear layers with a Gelu between them.
    pub(super) fn feed_forward(&mut self, path: &str, x: &Value, wide: usize) -> Value {
        self.perceptron(path, x, wide, Activation::Gelu)
    }

    /// Two linear layers with a non-linearity between them.
    pub(super) fn perceptron(
        &mut self,
        path: &str,
        x: &Value,
        wide: usize,
        activation: Activation,
    ) -> Value {
        let y = self.token_linear(&format!("{path}.fc1"), x, wide);
        let y = self.activation(path, &y, activation);
        self.token_linear(&format!("{path}.fc2"), &y, x.channels)
    }

    /// The two linear layers over the tokens, channel by channel.
    pub(super) fn mix_tokens(
        &mut self,
        path: &str,
        x: &Value,
        wide: usize,
        activation: Activation,
    ) -> Value {
        self.over_tokens(path, x, |builder, y| builder.perceptron(path, y, wide, activation))
    }

    /// A single one.
    pub(super) fn map_tokens(&mut self, path: &str, x: &Value) -> Value {
        self.over_tokens(path, x, |builder, y| builder.token_linear(path, y, y.channels))
    }

    /// What `map` does to `[N, channels, tokens]`, so that linear maps go over the tokens, and back.
    fn over_tokens(
        &mut self,
        path: &str,
        x: &Value,
        map: impl FnOnce(&mut Self, &Value) -> Value,
    ) -> Value {
        let y = self.transpose(path, x, &[0, 2, 1]);
        let turned = Value { channels: x.area(), extent: Some([x.channels, 1]), ..y };
        let y = map(self, &turned);
        let y = self.transpose(path, &y, &[0, 2, 1]);
        Value { depth: y.depth, name: y.name, ..x.clone() }
    }

    /// A factor and a summand for every channel, the last axis.
    pub(super) fn affine(&mut self, path: &str, x: &Value) -> Value {
        let shift = self.parameter(path, "beta", &[1, 1, x.channels]);
        let scale = self.parameter(path, "alpha", &[1, 1, x.channels]);
        let y = self.map(path, "Mul", x, vec![scale, x.name.clone()], vec![]);
        self.map(path, "Add", x, vec![shift, y.name], vec![])
    }

    /// `Mul` of every channel, the last axis, with a learned factor.
    pub(super) fn layer_scale(&mut self, path: &str, field: &str, x: &Value) -> Value {
        let scale = self.parameter(path, field, &[x.channels]);
        self.map(path, "Mul", x, vec![scale, x.name.clone()], vec![])
    }

    /// The same with channels second: the factors are reshaped to `[1, channels, 1, 1]`.
    pub(super) fn channel_scale(&mut self, path: &str, field: &str, x: &Value) -> Value {
        let scale = Value { name: self.parameter(path, field, &[x.channels]), ..x.clone() };
        let scale = self.reshape(path, &scale, &[1, x.channels as i64, 1, 1]);
        self.mul(path, x, &scale)
    }

    /// An image with its channels last.
    pub(super) fn channels_last(&mut self, path: &str, x: &Value) -> Value {
        self.transpose(path, x, &[0, 2, 3, 1])
    }

    /// The same of an image that nothing else reads: where [its channels were just put
    /// second](Self::channels_first), they stay last.
    pub(super) fn channels_last_again(&mut self, path: &str, x: &Value) -> Value {
        self.undo("Transpose", x).unwrap_or_else(|| self.channels_last(path, x))
    }

    /// The way back.
    pub(super) fn channels_first(&mut self, path: &str, x: &Value) -> Value {
        self.transpose(path, x, &[0, 3, 1, 2])
    }

    /// Channels of an image in `groups` groups, the first of each, the second of each, and so on.
    /// Any image will do: its shape is computed.
    pub(super) fn shuffle(&mut self, path: &str, x: &Value, groups: usize) -> Value {
        let size = (x.channels / groups) as i64;
        let shape = self.node(path, "Shape", vec![x.name.clone()], vec![]);
        let y = self.reshape(path, x, &[0, groups as i64, size, -1]);
        let y = self.transpose(path, &y, &[0, 2, 1, 3]);
        self.map(path, "Reshape", x, vec![y.name, shape], vec![])
    }

    /// `Split` along an axis into parts of given lengths.
    pub(super) fn split(
        &mut self,
        path: &str,
        x: &Value,
        lengths: &[usize],
        axis: i64,
    ) -> Vec<Value> {
        let ints = lengths.iter().map(|&length| length as i64).collect();
        let given = self.constant(path, "value_ints", Attribute::Ints(ints));
        let attributes = vec![("axis", Attribute::Int(axis))];
        let inputs = vec![x.name.clone(), given];
        let names = self.outputs(path, "Split", inputs, attributes, lengths.len());
        let part = |(name, &channels)| Value { name, channels, ..x.clone() };
        names.into_iter().zip(lengths).map(part).collect()
    }

    /// The first `channels` of an image, by `Slice`.
    pub(super) fn first_channels(&mut self, path: &str, x: &Value, channels: usize) -> Value {
        let mut inputs = vec![x.name.clone()];
        for bound in [0, channels as i64, 1] {
            inputs.push(self.constant(path, "value_ints", Attribute::Ints(vec![bound])));
        }
        Value { channels, ..self.map(path, "Slice", x, inputs, vec![]) }
    }

    /// An image without its first row and column, by `Slice`.
    pub(super) fn shifted(&mut self, path: &str, x: &Value) -> Value {
        let mut inputs = vec![x.name.clone()];
        for bounds in [vec![1, 1], vec![i64::MAX, i64::MAX], vec![2, 3]] {
            inputs.push(self.constant(path, "value_ints", Attribute::Ints(bounds)));
        }
        let y = self.map(path, "Slice", x, inputs, vec![]);
        Value { extent: x.extent.map(|extent| extent.map(|size| size.saturating_sub(1))), ..y }
    }

    /// Zeros of the same shape: a product, as the code of the NAS benchmarks has it.
    pub(super) fn zeroed(&mut self, path: &str, x: &Value) -> Value {
        let nothing = self.constant(path, "value_float", Attribute::Float(0.0));
        self.map(path, "Mul", x, vec![x.name.clone(), nothing], vec![])
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

    pub(super) fn matmul(&mut self, path: &str, left: &Value, right: &Value) -> Value {
        self.map(path, "MatMul", left, vec![left.name.clone(), right.name.clone()], vec![])
    }

    pub(super) fn constant(&mut self, path: &str, form: &'static str, value: Attribute) -> String {
        self.node(path, "Constant", vec![], vec![(form, value)])
    }
}
