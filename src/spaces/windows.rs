//! Attention over images: within windows, and between the pixels of maps with their channels second.

use super::{
    build::{GraphBuilder, Value},
    graph::Attribute,
};

impl GraphBuilder {
    /// `[N, height, width, channels]` moved by `shift` pixels towards the origin, around both edges
    /// (`torch.roll`).
    pub(super) fn rolled(&mut self, path: &str, x: &Value, shift: i64) -> Value {
        let mut x = x.clone();
        for (axis, side) in [1, 2].into_iter().zip(x.extent.unwrap_or([1, 1])) {
            let shift = shift.rem_euclid(side as i64) as usize;
            if shift == 0 {
                continue;
            }
            let parts = self.split(path, &x, &[shift, side - shift], axis);
            let turned = parts.into_iter().rev().map(|part| part.name).collect();
            x = self.map(path, "Concat", &x, turned, vec![("axis", Attribute::Int(axis))]);
        }
        x
    }

    /// `[N, height, width, channels]` → `[N · windows, pixels of a window, channels]`. Those of a grid are as far
    /// apart as windows are many.
    pub(super) fn windows(
        &mut self,
        path: &str,
        x: &Value,
        window: [usize; 2],
        grid: bool,
    ) -> Value {
        let [height, width] = x.extent.unwrap_or([1, 1]).map(|side| side as i64);
        let [tall, wide] = window.map(|side| side as i64);
        let channels = x.channels as i64;
        if [tall, wide] == [height, width] {
            return self.reshape(path, x, &[0, tall * wide, channels]);
        }
        let (cut, order) = match grid {
            false => ([0, height / tall, tall, width / wide, wide, channels], [0, 1, 3, 2, 4, 5]),
            true => ([0, tall, height / tall, wide, width / wide, channels], [0, 2, 4, 1, 3, 5]),
        };
        let y = self.reshape(path, x, &cut);
        let y = self.transpose(path, &y, &order);
        self.reshape(path, &y, &[-1, tall * wide, channels])
    }

    /// The way back to images of `extent`.
    pub(super) fn join_windows(
        &mut self,
        path: &str,
        x: &Value,
        extent: [usize; 2],
        window: [usize; 2],
        grid: bool,
    ) -> Value {
        let [height, width] = extent.map(|side| side as i64);
        let [tall, wide] = window.map(|side| side as i64);
        let channels = x.channels as i64;
        if window == extent {
            return self.reshape(path, x, &[0, height, width, channels]);
        }
        let y = self.reshape(path, x, &[-1, height / tall, width / wide, tall, wide, channels]);
        let order = if grid { [0, 3, 1, 4, 2, 5] } else { [0, 1, 3, 2, 4, 5] };
        let y = self.transpose(path, &y, &order);
        self.reshape(path, &y, &[-1, height, width, channels])
    }

    /// `[N, tokens, channels]` → `[N, channels, height, width]`.
    pub(super) fn image_of_tokens(&mut self, path: &str, x: &Value, extent: [usize; 2]) -> Value {
        let [height, width] = extent.map(|side| side as i64);
        let shape = Attribute::Ints(vec![0, x.channels as i64, height, width]);
        let shape = self.constant(path, "value_ints", shape);
        let y = self.transpose(path, x, &[0, 2, 1]);
        let y = self.map(path, "Reshape", &y, vec![y.name.clone(), shape], vec![]);
        Value { extent: Some(extent), ..y }
    }

    /// The tokens of an image that nothing else reads: those that it was just made of, in either order of a
    /// `Transpose` and a `Reshape`, or its pixels.
    pub(super) fn tokens_again(&mut self, path: &str, x: &Value) -> Value {
        let made = self.undo("Reshape", x).and_then(|turned| self.undo("Transpose", &turned));
        let undone = made.or_else(|| {
            let cut = self.undo("Transpose", x)?;
            self.undo("Reshape", &cut)
        });
        match undone {
            Some(tokens) => {
                self.drop_constant();
                Value { extent: Some([x.area(), 1]), ..tokens }
            }
            None => self.tokens(path, x),
        }
    }

    /// Attention of tokens to others, `[N, tokens, channels]` each, with an output projection; keys and values by one
    /// linear map or by one each.
    pub(super) fn attend_to(
        &mut self,
        path: &str,
        x: &Value,
        seen: &Value,
        heads: usize,
        joint: bool,
    ) -> Value {
        let (channels, size) = (x.channels, x.channels / heads);
        let split = [-1, heads as i64, size as i64];
        let query = self.token_linear(&format!("{path}.q"), x, channels);
        let query = self.heads(path, &query, split, &[0, 2, 1, 3]);
        let [key, value] = if joint {
            let both = self.token_linear(&format!("{path}.kv"), seen, 2 * channels);
            let both = self.reshape(path, &both, &[0, -1, 2, heads as i64, size as i64]);
            let [key, value] = self.unbound(path, &both);
            [self.transpose(path, &key, &[0, 1, 3, 2]), value]
        } else {
            let orders = [("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3])];
            orders.map(|(name, order)| {
                let y = self.token_linear(&format!("{path}.{name}"), seen, channels);
                self.heads(path, &y, split, &order)
            })
        };
        let scores = self.matmul(path, &query, &key);
        let scores = self.scaled(path, &scores, "Mul", (size as f32).powf(-0.5));
        let mixed = self.mixed(path, x, scores, &value, seen.area(), -1);
        // What is seen may be as many layers deep as a smaller map is.
        let mixed = Value { depth: query.depth.max(mixed.depth), ..mixed };
        self.token_linear(&format!("{path}.proj"), &mixed, channels)
    }

    /// `[N, height, width, channels]` → `[N, height / 2, width / 2, 4 · channels]`.
    pub(super) fn pixels_as_channels(&mut self, path: &str, x: &Value) -> Value {
        let extent = x.extent.map(|extent| extent.map(|side| side / 2));
        let [height, width] = extent.unwrap_or([1, 1]).map(|side| side as i64);
        let channels = x.channels as i64;
        let y = self.reshape(path, x, &[0, height, 2, width, 2, channels]);
        let y = self.transpose(path, &y, &[0, 1, 3, 4, 2, 5]);
        let y = self.reshape(path, &y, &[0, height, width, 4 * channels]);
        Value { channels: 4 * x.channels, extent, ..y }
    }

    /// An image's channels, told apart by head, `[N, heads, size, pixels]`, in parts of these sizes.
    pub(super) fn head_parts(
        &mut self,
        path: &str,
        x: &Value,
        heads: usize,
        sizes: &[usize],
    ) -> Vec<Value> {
        let size: usize = sizes.iter().sum();
        let y = self.reshape(path, x, &[0, heads as i64, size as i64, -1]);
        let parts = match sizes {
            [_] => vec![y],
            _ => self.split(path, &y, sizes, 2),
        };
        let part = |(part, size)| Value { channels: heads * size, ..part };
        parts.into_iter().zip(sizes).map(part).collect()
    }

    /// Attention from [parts](Self::head_parts) that are queries, keys and values, `[N, heads, size, pixels]`
    /// each, to an image as large as that which asks. All queries have as many channels as all keys.
    pub(super) fn attend_map(
        &mut self,
        path: &str,
        [query, key, value]: [&Value; 3],
        asking: &Value,
        heads: usize,
    ) -> Value {
        let turned = self.transpose(path, query, &[0, 1, 3, 2]);
        let scores = self.matmul(path, &turned, key);
        let size = query.channels / heads;
        let scores = self.scaled(path, &scores, "Mul", (size as f32).powf(-0.5));
        let axis = vec![("axis", Attribute::Int(-1))];
        let weights = self.map(path, "Softmax", &scores, vec![scores.name.clone()], axis);
        let weights = self.transpose(path, &weights, &[0, 1, 3, 2]);
        let mixed = self.matmul(path, value, &weights);
        for channels in [query.channels, value.channels] {
            self.multiply_accumulate(&Value { channels, ..asking.clone() }, key.area());
        }
        let [height, width] = asking.extent.unwrap_or([1, 1]).map(|side| side as i64);
        let y = self.reshape(path, &mixed, &[0, value.channels as i64, height, width]);
        Value { channels: value.channels, extent: asking.extent, depth: value.depth, name: y.name }
    }
}
