//! Pooling.

use burn::tensor::{
    Device, Tensor, module,
    ops::{AvgPoolOptions, MaxPoolOptions, PadMode},
};

use crate::{
    graph::{CANONICAL_DOMAIN, Fact, Node},
    kernels::Step,
};

use super::{
    Array, Features, OpError, Operator, OperatorFamily,
    helpers::{
        Window, array, bad, extents, image, last_two, maybe_shape, named, output, required,
        rows_or_image, sizes, slide,
    },
};

/// `MaxPool` or `AveragePool` over images or rows.
struct Pool {
    average: bool,
}

impl Pool {
    fn window(node: &Node, image: [usize; 4]) -> Result<Window, OpError> {
        let kernel = Self::kernel(node, &image)?;
        Window::of(&kernel, &slide(node, &kernel, &image)?)
    }

    /// One extent per axis behind the channels. Where ceil_mode allows a window that is larger than the image with
    /// its pads, it is as large as these: it sees no more.
    fn kernel(node: &Node, shape: &[usize]) -> Result<Vec<usize>, OpError> {
        let axes = shape.len().saturating_sub(2);
        let mut kernel = extents(node, "kernel_shape", 0, axes)?;
        if node.attributes.int("ceil_mode", 0)? != 0
            && matches!(node.attributes.string("auto_pad", "NOTSET")?, "NOTSET" | "")
        {
            let [stride, dilation] =
                [extents(node, "strides", 1, axes)?, extents(node, "dilations", 1, axes)?];
            let pads = extents(node, "pads", 0, 2 * axes)?;
            for axis in 0..axes {
                let padded = shape[axis + 2].saturating_add(pads[axis] + pads[axis + axes]);
                let reach = (kernel[axis].max(1) - 1) * dilation[axis] + 1;
                if padded > 0
                    && reach > padded
                    && reach - padded < stride[axis]
                    && dilation[axis] > 0
                {
                    kernel[axis] = (padded - 1) / dilation[axis] + 1;
                }
            }
        }
        Ok(kernel)
    }

    fn counts_pad(node: &Node) -> Result<bool, OpError> {
        Ok(node.attributes.int("count_include_pad", 0)? != 0)
    }
}

impl Operator for Pool {
    fn op_type(&self) -> &'static str {
        if self.average { "AveragePool" } else { "MaxPool" }
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Pooling
    }

    fn since(&self) -> &'static [i64] {
        if self.average { &[1, 7, 10, 11, 19, 22] } else { &[1, 8, 10, 11, 12, 22] }
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let x = required(inputs, 0)?;
        if node.outputs.len() > 1 && !node.outputs[1].name.is_empty() {
            return Err(OpError::Unsupported("the indices output".to_owned()));
        }
        let Some(shape) = &x.shape else { return Ok(output(node, x.dtype, None)) };
        rows_or_image(shape, 0)?;
        let area = slide(node, &Self::kernel(node, shape)?, shape)?.output;
        let shape = Some([&shape[..2], &area[..]].concat());
        Ok(named(node, 0, x.dtype, shape, None).into_iter().collect())
    }

    fn features(&self, node: &Node, _inputs: &[Option<Fact>]) -> Features {
        Features {
            kernel: last_two(node, "kernel_shape", 1),
            stride: last_two(node, "strides", 1),
            dilation: last_two(node, "dilations", 1),
            groups: 0,
        }
    }

    fn execute(
        &self,
        node: &Node,
        inputs: &[Option<Array>],
        device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let x = array(inputs, 0)?;
        let shape = rows_or_image(x.shape(), 0)?;
        let kernel = Self::kernel(node, x.shape())?;
        let slide = slide(node, &kernel, x.shape())?;
        let result = [&x.shape()[..2], &slide.output[..]].concat();
        let Window { kernel, stride, dilation, pads, output } = Window::of(&kernel, &slide)?;
        let x: Tensor<4> = x.view(0, shape)?;
        // Pads are written out up to the last window, so that ceil_mode and uneven pads need no
        // case of their own.
        let reach: [usize; 2] = std::array::from_fn(|axis| {
            (output[axis] - 1) * stride[axis] + (kernel[axis] - 1) * dilation[axis] + 1
        });
        let extent = [shape[2], shape[3]];
        let ends: [usize; 2] =
            std::array::from_fn(|axis| reach[axis].saturating_sub(extent[axis] + pads[axis]));
        let around = [(pads[0], ends[0]), (pads[1], ends[1])];
        let fit =
            |padded: Tensor<4>| padded.slice([0..shape[0], 0..shape[1], 0..reach[0], 0..reach[1]]);
        let fill = |x: Tensor<4>, value: f32| fit(x.pad(around, PadMode::Constant(value)));
        if !self.average {
            let options = MaxPoolOptions::new(kernel).with_stride(stride).with_dilation(dilation);
            let most = module::max_pool2d(fill(x, f32::MIN), options);
            return Ok(vec![Array::flat(most, result)]);
        }
        if dilation != [1, 1] {
            return Err(OpError::Unsupported("dilated average pooling".to_owned()));
        }
        let mean =
            |x: Tensor<4>| module::avg_pool2d(x, AvgPoolOptions::new(kernel).with_stride(stride));
        let total = mean(fill(x, 0.0));
        // The share of each window that counts.
        let ones = Tensor::<4>::ones([1, 1, extent[0], extent[1]], device);
        let counted = match Self::counts_pad(node)? {
            // Padding counts, what ceil_mode adds beyond it does not.
            true => {
                let padded =
                    ones.pad([(pads[0], pads[2]), (pads[1], pads[3])], PadMode::Constant(1.0));
                let beyond = |axis: usize| {
                    reach[axis].saturating_sub(extent[axis] + pads[axis] + pads[axis + 2])
                };
                padded.pad([(0, beyond(0)), (0, beyond(1))], PadMode::Constant(0.0))
            }
            false => ones.pad(around, PadMode::Constant(0.0)),
        };
        let counted = counted.slice([0..1, 0..1, 0..reach[0], 0..reach[1]]);
        Ok(vec![Array::flat(total / mean(counted), result)])
    }

    fn lower(&self, node: &Node, inputs: &[Option<Fact>]) -> Option<Step> {
        let sides = image(maybe_shape(inputs, 0)?, 0).ok()?;
        let Window { kernel, stride, dilation, pads, .. } = Self::window(node, sides).ok()?;
        let ceil = node.attributes.int("ceil_mode", 0).ok()? != 0;
        let count_include_pad = Self::counts_pad(node).ok()?;
        match self.average {
            _ if dilation != [1, 1] => None,
            true if ceil && count_include_pad => None,
            true => Some(Step::AveragePool { kernel, stride, pads, count_include_pad }),
            false => Some(Step::MaxPool { kernel, stride, pads }),
        }
    }
}

/// `GlobalAveragePool` or `GlobalMaxPool`.
struct GlobalPool {
    average: bool,
}

impl Operator for GlobalPool {
    fn op_type(&self) -> &'static str {
        if self.average { "GlobalAveragePool" } else { "GlobalMaxPool" }
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Pooling
    }

    fn since(&self) -> &'static [i64] {
        &[1, 22]
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let x = required(inputs, 0)?;
        if x.shape.as_ref().is_some_and(|shape| shape.len() < 2) {
            return Err(bad(0, "has no channel axis"));
        }
        let shape = x.shape.as_ref().map(|shape| {
            let ones = std::iter::repeat_n(1, shape.len().saturating_sub(2));
            shape.iter().copied().take(2).chain(ones).collect()
        });
        Ok(output(node, x.dtype, shape))
    }

    fn execute(
        &self,
        _node: &Node,
        inputs: &[Option<Array>],
        _device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let x = array(inputs, 0)?;
        let [batch, channels, ref rest @ ..] = *x.shape() else {
            return Err(bad(0, "has no channel axis"));
        };
        let planes: Tensor<3> = x.view(0, [batch, channels, rest.iter().product()])?;
        let result = if self.average { planes.mean_dim(2) } else { planes.max_dim(2) };
        let ones = rest.iter().map(|_| 1);
        Ok(vec![Array::flat(result, [batch, channels].into_iter().chain(ones).collect())])
    }

    fn lower(&self, _node: &Node, inputs: &[Option<Fact>]) -> Option<Step> {
        let &[_, _, height, width] = maybe_shape(inputs, 0)? else { return None };
        if [height, width] == [1, 1] {
            return Some(Step::Identity);
        }
        let reduced = vec![false, false, true, true];
        Some(if self.average { Step::Mean { reduced } } else { Step::GlobalMaxPool })
    }
}

/// The canonical form of `AdaptiveAvgPool2d` to a size that does not divide the image's.
struct AdaptiveAveragePool;

impl AdaptiveAveragePool {
    fn size(node: &Node) -> Result<[usize; 2], OpError> {
        sizes(node, "output_size", 1)
    }
}

impl Operator for AdaptiveAveragePool {
    fn op_type(&self) -> &'static str {
        "AdaptiveAveragePool"
    }

    fn domain(&self) -> &'static str {
        CANONICAL_DOMAIN
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Pooling
    }

    fn since(&self) -> &'static [i64] {
        &[1]
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let x = required(inputs, 0)?;
        let size = Self::size(node)?;
        let Some(shape) = &x.shape else { return Ok(output(node, x.dtype, None)) };
        let [batch, channels, ..] = image(shape, 0)?;
        Ok(output(node, x.dtype, Some(vec![batch, channels, size[0], size[1]])))
    }

    fn execute(
        &self,
        node: &Node,
        inputs: &[Option<Array>],
        _device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let x: Tensor<4> = array(inputs, 0)?.rank(0)?;
        Ok(vec![Array::of(module::adaptive_avg_pool2d(x, Self::size(node)?))])
    }

    fn lower(&self, _node: &Node, _inputs: &[Option<Fact>]) -> Option<Step> {
        Some(Step::AdaptivePool)
    }
}

/// Every operator of this family.
pub(super) fn operators() -> Vec<Box<dyn Operator>> {
    vec![
        Box::new(Pool { average: false }),
        Box::new(Pool { average: true }),
        Box::new(GlobalPool { average: false }),
        Box::new(GlobalPool { average: true }),
        Box::new(AdaptiveAveragePool),
    ]
}
