//! Networks of DARTS: cells that read the two cells before them.

use super::{
    super::{
        build::{Pool, Value},
        pair_cell::{PairCell, PairOp},
        plan::PairPlan,
    },
    Layers,
};

impl Layers<'_> {
    /// Stem and cells; those a third and two thirds of the way lower the resolution and double the width.
    pub(super) fn pairs(&mut self, plan: &PairPlan, image: &Value) -> Value {
        let conv = self.dense_conv(3 * plan.width, 3, 1);
        let y = self.builder.conv("stem.0", image, conv);
        let mut last = self.norm("stem.1", &y);
        let mut before = last.clone();
        let mut width = plan.width;
        for index in 0..plan.cells {
            let reduces = [plan.cells / 3, 2 * plan.cells / 3].contains(&index);
            if reduces {
                width *= 2;
            }
            let at = format!("cells.{index}");
            let y = self.pair_cell(&at, [&before, &last], &plan.cell, width, reduces);
            before = std::mem::replace(&mut last, y);
        }
        last
    }

    fn pair_cell(
        &mut self,
        at: &str,
        [before, last]: [&Value; 2],
        cell: &PairCell,
        width: usize,
        reduces: bool,
    ) -> Value {
        let conv = self.dense_conv(width, 1, 1);
        let first = match before.extent == last.extent {
            true => self.turned(&format!("{at}.preprocess0"), before, conv),
            false => self.reshaped(&format!("{at}.preprocess0"), before, width, 2),
        };
        let mut values = vec![first, self.turned(&format!("{at}.preprocess1"), last, conv)];
        for (node, operands) in cell.nodes.iter().enumerate() {
            let [left, right] = [0, 1].map(|side| {
                let (op, source) = operands[side];
                let stride = if reduces && source < 2 { 2 } else { 1 };
                let path = format!("{at}.ops.{}", 2 * node + side);
                self.pair_op(&path, &values[source].clone(), op, stride)
            });
            values.push(self.builder.add(at, &left, &right));
        }
        let joined = self.builder.concat(at, &values[2..]);
        joined.unwrap_or_else(|| last.clone())
    }

    fn pair_op(&mut self, at: &str, x: &Value, op: PairOp, stride: usize) -> Value {
        match op {
            PairOp::Zero => {
                let y = match stride {
                    1 => x.clone(),
                    _ => self.builder.pool(&format!("{at}.pool"), x, Pool::Max, [1, stride, 0]),
                };
                self.builder.zeroed(at, &y)
            }
            PairOp::MaxPool => self.builder.pool(at, x, Pool::Max, [3, stride, 1]),
            PairOp::AveragePool => self.builder.mean_pool(at, x, [3, stride, 1]),
            PairOp::Skip => self.reshaped(at, x, x.channels, stride),
            PairOp::Separable(kernel) => {
                let y = self.depthwise(&format!("{at}.0"), x, [kernel, stride, 1]);
                self.depthwise(&format!("{at}.1"), &y, [kernel, 1, 1])
            }
            PairOp::Dilated(kernel) => self.depthwise(at, x, [kernel, stride, 2]),
        }
    }

    /// Activation, depthwise and 1×1 convolution, norm.
    fn depthwise(&mut self, at: &str, x: &Value, [kernel, stride, dilation]: [usize; 3]) -> Value {
        let y = self.activate(&format!("{at}.relu"), x);
        let conv = self.depthwise_conv(x.channels, kernel, stride);
        let pad = dilation * (kernel / 2);
        let y = self.builder.dilated_conv(&format!("{at}.depthwise"), &y, conv, pad, dilation);
        let y =
            self.builder.conv(&format!("{at}.pointwise"), &y, self.dense_conv(x.channels, 1, 1));
        self.norm(&format!("{at}.norm"), &y)
    }
}
