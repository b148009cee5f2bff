//! GhostNet's blocks (Han et al. 2020).

use super::{
    super::build::{Conv, Value},
    Layers,
};

impl Layers<'_> {
    /// Two ghost modules, a depthwise convolution between them where the resolution falls, and a
    /// shortcut.
    pub(super) fn ghost(
        &mut self,
        at: &str,
        x: &Value,
        width: usize,
        inner: usize,
        (kernel, stride): (usize, usize),
    ) -> Value {
        let mut y = self.ghost_module(&format!("{at}.ghost1"), x, inner, true);
        if stride > 1 {
            let conv = self.depthwise_conv(inner, kernel, stride);
            y = self.normed_conv(at, "_dw", &y, conv);
        }
        y = self.squeeze(at, y);
        y = self.ghost_module(&format!("{at}.ghost2"), &y, width, false);
        let mut shortcut = x.clone();
        if y.channels != x.channels || y.extent != x.extent {
            let at = format!("{at}.shortcut");
            let conv = self.depthwise_conv(x.channels, kernel, stride);
            shortcut = self.normed_conv(&at, "1", x, conv);
            let point = self.dense_conv(y.channels, 1, 1);
            shortcut = self.normed_conv(&at, "2", &shortcut, point);
        }
        self.builder.add(at, &y, &shortcut)
    }

    /// Half of the channels by a 1×1 convolution, the others by a depthwise 3×3 one of these.
    fn ghost_module(&mut self, at: &str, x: &Value, width: usize, activated: bool) -> Value {
        let half = width.div_ceil(2);
        let primary = self.dense_conv(half, 1, 1);
        let cheap = self.depthwise_conv(half, 3, 1);
        let primary = self.half(activated, &format!("{at}.primary_conv"), x, primary);
        let cheap = self.half(activated, &format!("{at}.cheap_operation"), &primary, cheap);
        let ends = [primary, cheap];
        let y = self.builder.concat(at, &ends).unwrap_or_else(|| x.clone());
        match y.channels > width {
            true => self.builder.first_channels(at, &y, width),
            false => y,
        }
    }

    fn half(&mut self, activated: bool, at: &str, x: &Value, conv: Conv) -> Value {
        let y = self.builder.conv(&format!("{at}.0"), x, conv);
        let y = self.norm(&format!("{at}.1"), &y);
        if activated { self.activate(&format!("{at}.2"), &y) } else { y }
    }
}
