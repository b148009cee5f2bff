//! What follows the last stage.

use super::{
    super::{
        build::{Conv, Pool, Value},
        plan::{Head, HeadPlan},
    },
    Layers,
};

impl Layers<'_> {
    pub(super) fn head(&mut self, head: &HeadPlan, x: &Value, classes: usize) -> Value {
        if head.kind == Head::Point {
            let point = Conv { out: classes, kernel: 1, stride: 1, groups: 1, bias: true };
            let y = self.builder.conv("classifier", x, point);
            let y = self.activate("classifier.act", &y);
            let y = self.builder.global_average_pool("pool", &y);
            return self.builder.flatten("flatten", &y);
        }
        let builder = &mut self.builder;
        let pooled = match (head.kind, x.extent) {
            (Head::Flat, _) => x.clone(),
            (Head::Grid, Some([height, width])) if height.min(width) > 1 => {
                let kernel = height.min(width) / 2;
                builder.pool("pool", x, Pool::Average, [kernel, kernel, 0])
            }
            _ => builder.global_average_pool("pool", x),
        };
        let mut y = builder.flatten("flatten", &pooled);
        match head.kind {
            Head::Normed => y = builder.layer_norm("head.norm", &y),
            Head::Hidden => {
                let width = head.hidden.first().copied().unwrap_or(x.channels);
                y = builder.linear("head.fc1", &y, width);
                y = self.activate("head.act", &y);
                return self.builder.linear("head.fc2", &y, classes);
            }
            Head::Flat => {
                for (index, &width) in head.hidden.iter().enumerate() {
                    y = self.builder.linear(&format!("head.{index}.fc"), &y, width);
                    y = self.activate(&format!("head.{index}.act"), &y);
                }
            }
            Head::Linear | Head::Grid | Head::Point => {}
        }
        self.builder.linear("fc", &y, classes)
    }
}
