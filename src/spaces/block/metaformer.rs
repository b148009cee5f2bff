//! Blocks that see a pixel's surroundings without weights between channels: PoolFormer (Yu et al.
//! 2022) and MambaOut (Yu and Wang 2025).

use super::{
    super::build::{Conv, Value},
    Layers,
};

impl Layers<'_> {
    /// Norm, the mean of a pixel's surroundings less the pixel; norm, two 1×1 convolutions; a shortcut
    /// past each.
    pub(super) fn poolformer(&mut self, at: &str, x: &Value, expansion: usize) -> Value {
        let y = self.norm(&format!("{at}.norm1"), x);
        let mean = self.builder.mean_pool(&format!("{at}.token_mixer.pool"), &y, [3, 1, 1]);
        let mut y = self.builder.sub(&format!("{at}.token_mixer"), &mean, &y);
        if self.theme.layer_scale {
            y = self.builder.channel_scale(&format!("{at}.layer_scale1"), "scale", &y);
        }
        let x = self.builder.add(at, x, &y);
        let y = self.norm(&format!("{at}.norm2"), &x);
        let y = self.pointwise(at, &y, expansion * x.channels);
        self.builder.add(at, &x, &y)
    }

    /// Norm and a linear map to gates and what they gate, the first channels of which pass a depthwise
    /// convolution; a linear map back and a shortcut.
    pub(super) fn gated(&mut self, at: &str, x: &Value, kernel: usize, expansion: usize) -> Value {
        let (channels, hidden) = (x.channels, expansion * x.channels);
        let y = self.builder.channels_last(at, x);
        let y = self.token_norm(&format!("{at}.norm"), &y);
        let y = self.builder.token_linear(&format!("{at}.fc1"), &y, 2 * hidden);
        let lengths = [hidden, hidden - channels, channels];
        let kept: Vec<usize> = lengths.into_iter().filter(|length| *length > 0).collect();
        let mut parts = self.builder.split(at, &y, &kept, -1);
        let (Some(convolved), true) = (parts.pop(), !parts.is_empty()) else { return x.clone() };
        let gate = parts.remove(0);
        let y = self.builder.channels_first(at, &convolved);
        let conv = Conv { out: channels, kernel, stride: 1, groups: channels, bias: true };
        let y = self.builder.conv(&format!("{at}.conv"), &y, conv);
        let y = self.builder.channels_last(at, &y);
        parts.push(y);
        let y = self.builder.concat_along(at, &parts, -1).unwrap_or_else(|| x.clone());
        let gate = self.activate(&format!("{at}.act"), &gate);
        let y = self.builder.mul(at, &gate, &y);
        let y = self.builder.token_linear(&format!("{at}.fc2"), &y, channels);
        let y = self.builder.channels_first(at, &y);
        self.builder.add(at, &y, x)
    }
}
