//! ShuffleNet's blocks.

use super::{
    super::build::{Conv, Pool, Value},
    Layers, shared_divisor,
};

impl Layers<'_> {
    /// ShuffleNet V1 (Zhang et al. 2018): where the resolution falls, the mean of the input makes up
    /// the first channels of the output.
    pub(super) fn shuffle_groups(
        &mut self,
        at: &str,
        x: &Value,
        width: usize,
        inner: usize,
        groups: usize,
        (kernel, stride): (usize, usize),
    ) -> Value {
        let joins = stride > 1 && width > x.channels;
        let out = if joins { width - x.channels } else { width };
        let groups = shared_divisor(x.channels, inner, groups);
        let first = Conv { groups, ..self.dense_conv(inner, 1, 1) };
        let mut y = self.unit(at, "1", x, first);
        if groups > 1 {
            y = self.builder.shuffle(&format!("{at}.shuffle"), &y, groups);
        }
        let depthwise = self.depthwise_conv(inner, kernel, stride);
        y = self.normed_conv(at, "2", &y, depthwise);
        let last =
            Conv { groups: shared_divisor(inner, out, groups), ..self.dense_conv(out, 1, 1) };
        y = self.normed_conv(at, "3", &y, last);
        y = if joins {
            let mean = self.builder.pool(&format!("{at}.pool"), x, Pool::Average, [3, 2, 1]);
            self.builder.concat(at, &[mean, y]).unwrap_or_else(|| x.clone())
        } else {
            let shortcut = self.shortcut(at, x, &y);
            self.builder.add(at, &y, &shortcut)
        };
        self.activate(&format!("{at}.act"), &y)
    }

    /// ShuffleNet V2 (Ma et al. 2018).
    pub(super) fn shuffle_halves(
        &mut self,
        at: &str,
        x: &Value,
        width: usize,
        (kernel, stride): (usize, usize),
    ) -> Value {
        let half = width / 2;
        let (left, right) = if stride == 1 && x.channels == width && width.is_multiple_of(2) {
            let mut halves = self.builder.split(at, x, &[half; 2], 1).into_iter();
            (halves.next().unwrap_or_else(|| x.clone()), halves.next().unwrap_or_else(|| x.clone()))
        } else {
            let at = format!("{at}.branch1");
            let depthwise = self.depthwise_conv(x.channels, kernel, stride);
            let y = self.normed_conv(&at, "1", x, depthwise);
            let point = self.dense_conv(width - half, 1, 1);
            (self.unit(&at, "2", &y, point), x.clone())
        };
        let branch = format!("{at}.branch2");
        let point = self.dense_conv(half, 1, 1);
        let y = self.unit(&branch, "1", &right, point);
        let depthwise = self.depthwise_conv(half, kernel, stride);
        let y = self.normed_conv(&branch, "2", &y, depthwise);
        let y = self.unit(&branch, "3", &y, point);
        let y = self.builder.concat(at, &[left, y]).unwrap_or_else(|| x.clone());
        if y.channels.is_multiple_of(2) { self.builder.shuffle(at, &y, 2) } else { y }
    }
}
