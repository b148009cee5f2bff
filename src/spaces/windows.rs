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

    /// `[N, height, width, channels]` → `[N · windows, pixels of a window, channels]`.
    pub(super) fn windows(&mut self, path: &str, x: &Value, window: [usize; 2]) -> Value {
        let [height, width] = x.extent.unwrap_or([1, 1]).map(|side| side as i64);
        let [tall, wide] = window.map(|side| side as i64);
        let channels = x.channels as i64;
        if [tall, wide] == [height, width] {
            return self.reshape(path, x, &[0, tall * wide, channels]);
        }
        let cut = [0, height / tall, tall, width / wide, wide, channels];
        let y = self.reshape(path, x, &cut);
        let y = self.transpose(path, &y, &[0, 1, 3, 2, 4, 5]);
        self.reshape(path, &y, &[-1, tall * wide, channels])
    }

    /// The way back to images of `extent`.
    pub(super) fn join_windows(
        &mut self,
        path: &str,
        x: &Value,
        extent: [usize; 2],
        window: [usize; 2],
    ) -> Value {
        let [height, width] = extent.map(|side| side as i64);
        let [tall, wide] = window.map(|side| side as i64);
        let channels = x.channels as i64;
        if window == extent {
            return self.reshape(path, x, &[0, height, width, channels]);
        }
        let y = self.reshape(path, x, &[-1, height / tall, width / wide, tall, wide, channels]);
        let y = self.transpose(path, &y, &[0, 1, 3, 2, 4, 5]);
        self.reshape(path, &y, &[-1, height, width, channels])
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
