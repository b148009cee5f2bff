//! ConvNeXt's stem, blocks and what stands between its stages (Liu et al. 2022), with channels last
//! where PyTorch code has them last.

use super::{
    super::{
        build::{Conv, Value},
        plan::{Norm, StemPlan},
    },
    Layers,
};

impl Layers<'_> {
    /// Non-overlapping patches and a norm.
    pub(super) fn patch_stem(&mut self, stem: &StemPlan, image: &Value) -> Value {
        let y = self.patches("stem.conv", image, stem.width, stem.stride);
        self.channel_norm("stem.norm", y)
    }

    /// Depthwise convolution; norm and two linear maps over the channels; a shortcut.
    pub(super) fn convnext(
        &mut self,
        at: &str,
        x: &Value,
        kernel: usize,
        expansion: usize,
    ) -> Value {
        let depthwise = Conv { out: x.channels, kernel, stride: 1, groups: x.channels, bias: true };
        let y = self.builder.conv(&format!("{at}.dwconv"), x, depthwise);
        if self.theme.pointwise {
            let y = self.channel_norm(&format!("{at}.norm"), y);
            let y = self.pointwise(at, &y, expansion * x.channels);
            return self.builder.add(at, &y, x);
        }
        let y = self.builder.channels_last(at, &y);
        let y = self.token_norm(&format!("{at}.norm"), &y);
        let y = self.builder.perceptron(at, &y, expansion * x.channels, self.theme.activation);
        let y = match self.theme.layer_scale {
            true => self.builder.layer_scale(at, "gamma", &y),
            false => y,
        };
        let y = self.builder.channels_first(at, &y);
        self.builder.add(at, x, &y)
    }

    /// Two linear maps over the channels as 1×1 convolutions.
    pub(super) fn pointwise(&mut self, at: &str, x: &Value, hidden: usize) -> Value {
        let point = |out| Conv { out, kernel: 1, stride: 1, groups: 1, bias: true };
        let y = self.builder.conv(&format!("{at}.mlp.fc1"), x, point(hidden));
        let y = self.builder.activation(&format!("{at}.mlp.act"), &y, self.theme.activation);
        let y = self.builder.conv(&format!("{at}.mlp.fc2"), &y, point(x.channels));
        match self.theme.layer_scale {
            true => self.builder.channel_scale(at, "gamma", &y),
            false => y,
        }
    }

    /// A norm and patches as large as the stride; nothing where the shape stays.
    pub(super) fn merge(&mut self, at: &str, x: &Value, width: usize, stride: usize) -> Value {
        let Some(stride) = patch_stride(x, width, stride) else { return x.clone() };
        let y = self.channel_norm(&format!("{at}.norm"), x.clone());
        self.patches(&format!("{at}.conv"), &y, width, stride)
    }

    /// Non-overlapping patches of `side` × `side` pixels.
    pub(super) fn patches(&mut self, path: &str, x: &Value, out: usize, side: usize) -> Value {
        let conv = Conv { out, kernel: side, stride: side, groups: 1, bias: true };
        self.builder.patches(path, x, conv)
    }

    /// `LayerNormalization` over the last axis, if the network has norms.
    pub(super) fn token_norm(&mut self, path: &str, x: &Value) -> Value {
        match self.theme.norm {
            Norm::None => x.clone(),
            _ => self.builder.layer_norm(path, x),
        }
    }

    /// The same over the channels of an image.
    fn channel_norm(&mut self, path: &str, x: Value) -> Value {
        if self.theme.norm == Norm::None {
            return x;
        }
        let y = self.builder.channels_last(path, &x);
        let y = self.builder.layer_norm(path, &y);
        self.builder.channels_first(path, &y)
    }
}

/// The stride of patches, which do not fit into a map of one pixel; `None` where the shape stays.
pub(super) fn patch_stride(x: &Value, width: usize, stride: usize) -> Option<usize> {
    let single = x.extent.is_some_and(|extent| extent.contains(&1));
    let stride = if single { 1 } else { stride };
    (stride > 1 || width != x.channels).then_some(stride)
}
