//! Attention at falling resolutions: within windows (Swin, Liu et al. 2021), and over maps between
//! convolutions and batch norms (LeViT, Graham et al. 2021; Visformer, Chen et al. 2021).

use super::{
    super::{
        build::{Conv, Pool, Value},
        plan::{Attention, Partition, Projection, Scale},
    },
    Layers,
    convnext::patch_stride,
};

/// Channels of a key in LeViT; its values have twice as many, four times where the resolution falls.
const KEY: usize = 16;
/// Groups of the 3×3 convolutions of Visformer's first stage.
const GROUPS: usize = 8;

impl Layers<'_> {
    /// Norm, attention within windows of `side` pixels; norm, two linear maps; a shortcut past each.
    pub(super) fn swin(
        &mut self,
        at: &str,
        x: &Value,
        [heads, side]: [usize; 2],
        partition: Partition,
        expansion: usize,
    ) -> Value {
        let [height, width] = x.extent.unwrap_or([1, 1]);
        let fits = height.is_multiple_of(side) && width.is_multiple_of(side);
        let side = if fits { [side; 2] } else { [height, width] };
        let moves = partition == Partition::Shifted && side != [height, width];
        let shift = if moves { side[0] as i64 / 2 } else { 0 };
        let x = self.builder.channels_last_again(at, x);
        let y = self.token_norm(&format!("{at}.norm1"), &x);
        let builder = &mut self.builder;
        let y = builder.rolled(at, &y, shift);
        let grid = partition == Partition::Grid;
        let y = builder.windows(at, &y, side, grid);
        let attention = Attention { heads, projection: Projection::Unbound, scale: Scale::Queries };
        let tokens = (side[0] * side[1]) as i64;
        let y = builder.attend(&format!("{at}.attn"), &y, attention, tokens);
        let y = builder.join_windows(at, &y, [height, width], side, grid);
        let y = builder.rolled(at, &y, -shift);
        let x = builder.add(at, &x, &y);
        let y = self.token_norm(&format!("{at}.norm2"), &x);
        let (hidden, activation) = (expansion * x.channels, self.theme.activation);
        let y = self.builder.perceptron(&format!("{at}.mlp"), &y, hidden, activation);
        let y = self.builder.add(at, &x, &y);
        self.builder.channels_first(at, &y)
    }

    /// The channels of 2×2 pixels, a norm and a linear map of them; nothing where the shape stays.
    pub(super) fn merge_pixels(
        &mut self,
        at: &str,
        x: &Value,
        width: usize,
        stride: usize,
    ) -> Value {
        let even = x.extent.is_some_and(|extent| extent.iter().all(|side| side % 2 == 0));
        let merges = stride > 1 && even;
        if !merges && width == x.channels {
            return x.clone();
        }
        let mut y = self.builder.channels_last_again(at, x);
        if merges {
            y = self.builder.pixels_as_channels(at, &y);
        }
        let y = self.token_norm(&format!("{at}.norm"), &y);
        let y = self.builder.token_linear(&format!("{at}.reduction"), &y, width);
        self.builder.channels_first(at, &y)
    }

    /// Attention and two 1×1 convolutions, each convolution with a norm behind it; a shortcut past each.
    pub(super) fn levit(&mut self, at: &str, x: &Value, expansion: usize) -> Value {
        let mut x = x.clone();
        let heads = (x.channels / (2 * KEY)).max(1);
        if x.area() > 1 {
            let y = self.point_norm(&format!("{at}.attn.qkv"), &x, heads * 4 * KEY);
            let y = self.builder.head_parts(at, &y, heads, &[KEY, KEY, 2 * KEY]);
            let y = self.attend_levit(&format!("{at}.attn"), &y, &x, x.channels);
            x = self.builder.add(at, &x, &y);
        }
        self.levit_perceptron(at, &x, expansion)
    }

    /// Attention whose queries are every second pixel, then two 1×1 convolutions; nothing where the shape
    /// stays.
    pub(super) fn levit_down(&mut self, at: &str, x: &Value, width: usize, stride: usize) -> Value {
        let single = x.extent.is_some_and(|extent| extent.iter().any(|side| *side < 4));
        let stride = if single { 1 } else { stride };
        if stride == 1 && width == x.channels || x.area() == 1 {
            return self.project(at, x, width, 1);
        }
        let heads = (x.channels / KEY).max(1);
        let seen = self.point_norm(&format!("{at}.attn.kv"), x, heads * 5 * KEY);
        let asking = match stride {
            1 => x.clone(),
            _ => self.builder.pool(&format!("{at}.attn.q"), x, Pool::Average, [1, stride, 0]),
        };
        let queries = self.point_norm(&format!("{at}.attn.q.ln"), &asking, heads * KEY);
        let mut parts = self.builder.head_parts(at, &queries, heads, &[KEY]);
        parts.extend(self.builder.head_parts(at, &seen, heads, &[KEY, 4 * KEY]));
        let x = self.attend_levit(&format!("{at}.attn"), &parts, &asking, width);
        self.levit_perceptron(at, &x, 2)
    }

    /// Two 1×1 convolutions and a shortcut.
    fn levit_perceptron(&mut self, at: &str, x: &Value, expansion: usize) -> Value {
        let y = self.point_norm(&format!("{at}.mlp.ln1"), x, expansion * x.channels);
        let y = self.activate(&format!("{at}.mlp.act"), &y);
        let y = self.point_norm(&format!("{at}.mlp.ln2"), &y, x.channels);
        self.builder.add(at, x, &y)
    }

    /// From `[N, heads, size, pixels]` of queries, keys and values to a map as large as `asking`.
    fn attend_levit(&mut self, at: &str, parts: &[Value], asking: &Value, width: usize) -> Value {
        let [query, key, value] = parts else { return asking.clone() };
        let y = self.builder.attend_map(at, [query, key, value], asking, query.channels / KEY);
        let y = self.activate(&format!("{at}.proj.act"), &y);
        self.point_norm(&format!("{at}.proj.ln"), &y, width)
    }

    /// Norm, attention between 1×1 convolutions; norm, two 1×1 convolutions; a shortcut past each.
    pub(super) fn visformer(
        &mut self,
        at: &str,
        x: &Value,
        heads: usize,
        expansion: usize,
    ) -> Value {
        let mut x = x.clone();
        let size = x.channels / heads;
        if x.area() > 1 {
            let y = self.norm(&format!("{at}.norm1"), &x);
            let y = self.builder.conv(&format!("{at}.attn.qkv"), &y, point(3 * x.channels));
            let y = self.builder.split(at, &y, &[x.channels; 3], 1);
            let part = |y| self.builder.head_parts(at, y, heads, &[size]);
            let y: Vec<Value> = y.iter().flat_map(part).collect();
            let [query, key, value] = y.as_slice() else { return x };
            let y = self.builder.attend_map(&format!("{at}.attn"), [query, key, value], &x, heads);
            let y = self.builder.conv(&format!("{at}.attn.proj"), &y, point(x.channels));
            x = self.builder.add(at, &x, &y);
        }
        let y = self.norm(&format!("{at}.norm2"), &x);
        let y = self.builder.conv(&format!("{at}.mlp.conv1"), &y, point(expansion * x.channels));
        let y = self.activate(&format!("{at}.mlp.act1"), &y);
        let y = self.builder.conv(&format!("{at}.mlp.conv3"), &y, point(x.channels));
        self.builder.add(at, &x, &y)
    }

    /// Norm, two 1×1 convolutions with a grouped 3×3 one between them; a shortcut.
    pub(super) fn visformer_local(&mut self, at: &str, x: &Value) -> Value {
        let hidden = 2 * x.channels;
        let groups = super::shared_divisor(hidden, hidden, GROUPS);
        let y = self.norm(&format!("{at}.norm2"), x);
        let y = self.builder.conv(&format!("{at}.mlp.conv1"), &y, point(hidden));
        let y = self.activate(&format!("{at}.mlp.act1"), &y);
        let conv = Conv { kernel: 3, groups, ..point(hidden) };
        let y = self.builder.conv(&format!("{at}.mlp.conv2"), &y, conv);
        let y = self.activate(&format!("{at}.mlp.act2"), &y);
        let y = self.builder.conv(&format!("{at}.mlp.conv3"), &y, point(x.channels));
        self.builder.add(at, x, &y)
    }

    /// Patches as large as the stride and a norm; nothing where the shape stays.
    pub(super) fn embed(&mut self, at: &str, x: &Value, width: usize, stride: usize) -> Value {
        let Some(stride) = patch_stride(x, width, stride) else { return x.clone() };
        let y = self.patches(&format!("{at}.proj"), x, width, stride);
        self.norm(&format!("{at}.norm"), &y)
    }

    /// A 1×1 convolution and a norm.
    fn point_norm(&mut self, at: &str, x: &Value, out: usize) -> Value {
        let y = self.builder.conv(&format!("{at}.c"), x, point(out));
        self.norm(&format!("{at}.bn"), &y)
    }
}

/// A 1×1 convolution without bias.
fn point(out: usize) -> Conv {
    Conv { out, kernel: 1, stride: 1, groups: 1, bias: false }
}
