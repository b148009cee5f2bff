//! Transformers whose tokens become maps for their convolutions: attention to fewer keys (PVT v2, Wang et al. 2022;
//! SegFormer, Xie et al. 2021), and ever fewer tokens (PiT, Heo et al. 2021).

use super::{
    super::{
        build::{Conv, Value},
        plan::{Attention, Projection, Scale, StemPlan},
    },
    Layers,
    convnext::patch_stride,
    shared_divisor,
};

impl Layers<'_> {
    /// Overlapping patches and a norm.
    pub(super) fn overlapping_stem(&mut self, stem: &StemPlan, image: &Value) -> Value {
        let conv = Conv { out: stem.width, kernel: stem.kernel, ..strided(stem.stride) };
        let y = self.builder.conv("stem.conv", image, conv);
        self.normed_tokens("stem.norm", &y)
    }

    /// The same between stages; nothing where the shape stays.
    pub(super) fn overlap(&mut self, at: &str, x: &Value, width: usize, stride: usize) -> Value {
        let Some(stride) = patch_stride(x, width, stride) else { return x.clone() };
        let conv = Conv { out: width, kernel: 3, ..strided(stride) };
        let y = self.builder.conv(&format!("{at}.proj"), x, conv);
        self.normed_tokens(&format!("{at}.norm"), &y)
    }

    /// A depthwise convolution, which makes more channels of each; nothing where the shape stays.
    pub(super) fn thin(&mut self, at: &str, x: &Value, width: usize, stride: usize) -> Value {
        let Some(stride) = patch_stride(x, width, stride) else { return x.clone() };
        let groups = shared_divisor(x.channels, width, x.channels);
        let conv = Conv { out: width, kernel: 3, groups, ..strided(stride) };
        self.builder.conv(&format!("{at}.conv"), x, conv)
    }

    /// Norm, attention, to fewer keys where there is a reduction; norm, two linear maps, with a depthwise convolution
    /// between them then; a shortcut past each.
    pub(super) fn transformer(
        &mut self,
        at: &str,
        x: &Value,
        [heads, expansion]: [usize; 2],
        reduction: Option<usize>,
        joint: bool,
    ) -> Value {
        let extent = x.extent.unwrap_or([1, 1]);
        let x = self.builder.tokens_again(at, x);
        let y = self.token_norm(&format!("{at}.norm1"), &x);
        let path = format!("{at}.attn");
        let y = match reduction {
            Some(reduction) => {
                let seen = self.fewer(&path, &y, extent, reduction);
                self.builder.attend_to(&path, &y, &seen, heads, joint)
            }
            None => {
                let (projection, scale) = (Projection::Unbound, Scale::Queries);
                self.builder.attend(&path, &y, Attention { heads, projection, scale }, -1)
            }
        };
        let x = self.builder.add(at, &x, &y);
        let y = self.token_norm(&format!("{at}.norm2"), &x);
        let (path, hidden) = (format!("{at}.mlp"), expansion * x.channels);
        let mut y = self.builder.token_linear(&format!("{path}.fc1"), &y, hidden);
        if reduction.is_some() {
            let map = self.builder.image_of_tokens(&path, &y, extent);
            let conv = Conv { out: hidden, kernel: 3, groups: hidden, ..strided(1) };
            let map = self.builder.conv(&format!("{path}.dwconv"), &map, conv);
            y = self.builder.tokens(&path, &map);
        }
        let y = self.activate(&path, &y);
        let y = self.builder.token_linear(&format!("{path}.fc2"), &y, x.channels);
        let x = self.builder.add(at, &x, &y);
        self.builder.image_of_tokens(at, &x, extent)
    }

    /// A norm over the channels.
    pub(super) fn norm_of_tokens(&mut self, at: &str, x: &Value) -> Value {
        let [height, width] = x.extent.unwrap_or([1, 1]);
        let y = self.builder.tokens_again(at, x);
        let y = self.token_norm(&format!("{at}.norm"), &y);
        let sides = [0, height as i64, width as i64, x.channels as i64];
        let y = self.builder.reshape(at, &y, &sides);
        let y = self.builder.channels_first(at, &y);
        Value { extent: x.extent, ..y }
    }

    /// The tokens of a smaller map of more than one pixel, normalised.
    fn fewer(&mut self, path: &str, x: &Value, extent: [usize; 2], reduction: usize) -> Value {
        let [height, width] = extent;
        let reduction = shared_divisor(height, width, reduction.min(height.max(width) / 2));
        if reduction == 1 {
            return x.clone();
        }
        let map = self.builder.image_of_tokens(path, x, extent);
        let map = self.patches(&format!("{path}.sr"), &map, x.channels, reduction);
        let y = self.builder.tokens(path, &map);
        self.token_norm(&format!("{path}.norm"), &y)
    }

    /// An image whose pixels are normalised as tokens.
    fn normed_tokens(&mut self, at: &str, x: &Value) -> Value {
        let y = self.builder.tokens(at, x);
        let y = self.token_norm(at, &y);
        self.builder.image_of_tokens(at, &y, x.extent.unwrap_or([1, 1]))
    }
}

/// A convolution with a bias, of a kernel and channels that are still to be said.
fn strided(stride: usize) -> Conv {
    Conv { out: 1, kernel: 1, stride, groups: 1, bias: true }
}
