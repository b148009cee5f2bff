//! RepVGG's blocks as they are trained (Ding et al. 2021).

use super::{super::build::Value, Layers};

impl Layers<'_> {
    /// The sum of a 3×3 convolution, a 1×1 one and, where the shape stays, the input, each normalised.
    pub(super) fn repvgg(&mut self, at: &str, x: &Value, width: usize, stride: usize) -> Value {
        let mut sum = None;
        for (name, kernel) in [("conv_kxk", 3), ("conv_1x1", 1)] {
            let conv = self.dense_conv(width, kernel, stride);
            let y = self.builder.conv(&format!("{at}.{name}.conv"), x, conv);
            let y = self.norm(&format!("{at}.{name}.bn"), &y);
            sum = Some(match sum {
                Some(sum) => self.builder.add(at, &sum, &y),
                None => y,
            });
        }
        let mut y = sum.unwrap_or_else(|| x.clone());
        if width == x.channels && stride == 1 {
            let identity = self.norm(&format!("{at}.identity"), x);
            y = self.builder.add(at, &y, &identity);
        }
        self.activate(&format!("{at}.act"), &y)
    }
}
