//! ConvMixer's stem and blocks (Trockman and Kolter 2022): every convolution is activated, then normalised.

use super::{
    super::{
        build::{Conv, Value},
        plan::StemPlan,
    },
    Layers,
};

impl Layers<'_> {
    /// Non-overlapping patches.
    pub(super) fn activated_patches(&mut self, stem: &StemPlan, image: &Value) -> Value {
        let y = self.patches("stem.conv", image, stem.width, stem.stride);
        self.activated_norm("stem", &y)
    }

    /// A depthwise convolution beside a shortcut, then a 1×1 convolution.
    pub(super) fn convmixer(&mut self, at: &str, x: &Value, kernel: usize) -> Value {
        let channels = x.channels;
        let conv = |kernel, groups| Conv { out: channels, kernel, stride: 1, groups, bias: true };
        let y = self.builder.conv(&format!("{at}.0.fn.0"), x, conv(kernel, channels));
        let y = self.activated_norm(&format!("{at}.0.fn"), &y);
        let y = self.builder.add(&format!("{at}.0"), &y, x);
        let y = self.builder.conv(&format!("{at}.1"), &y, conv(1, 1));
        self.activated_norm(at, &y)
    }

    fn activated_norm(&mut self, at: &str, x: &Value) -> Value {
        let y = self.activate(&format!("{at}.act"), x);
        self.norm(&format!("{at}.norm"), &y)
    }
}
