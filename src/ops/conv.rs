//! Convolutions.

use burn::tensor::{Device, Tensor, module, ops::ConvOptions};

use crate::{
    graph::{Fact, Layout, Node, Role},
    kernels::Step,
};

use super::{
    Array, Features, OpError, Operator, SlotRule,
    helpers::{
        Window, array, bad, image, maybe, maybe_shape, output, required, shape_of, sizes, window,
    },
};

/// `Conv`: x `[N, C, H, W]`, weight `[O, C / groups, kh, kw]`, optional bias `[O]`.
struct Conv;

impl Conv {
    fn window(node: &Node, weight: &[usize], input: [usize; 2]) -> Result<Window, OpError> {
        let kernel = match weight[2..] {
            [height, width] => [height, width],
            _ => {
                return Err(OpError::Unsupported(
                    "a convolution that is not over images".to_owned(),
                ));
            }
        };
        window(node, kernel, input)
    }

    fn groups(node: &Node) -> Result<usize, OpError> {
        usize::try_from(node.attributes.int("group", 1)?)
            .ok()
            .filter(|&groups| groups > 0)
            .ok_or_else(|| OpError::Unsupported("attribute 'group' must be positive".to_owned()))
    }

    /// The weight's shape: given, or from the kernel and the declared output.
    fn weight(node: &Node, inputs: &[Option<Fact>]) -> Result<Option<Vec<usize>>, OpError> {
        if let Some(shape) = maybe_shape(inputs, 1) {
            return Ok(Some(shape.to_vec()));
        }
        let Some(kernel) = node.attributes.ints("kernel_shape")? else { return Ok(None) };
        let outputs = match maybe_shape(inputs, 2) {
            Some([outputs]) => Some(*outputs),
            _ => node.outputs.first().and_then(|fact| fact.shape.as_ref()?.get(1).copied()),
        };
        let channels = maybe_shape(inputs, 0).and_then(|shape| shape.get(1));
        let (Some(outputs), Some(channels)) = (outputs, channels) else { return Ok(None) };
        let mut shape = vec![outputs, channels / Self::groups(node)?];
        for &extent in kernel {
            let extent = usize::try_from(extent);
            shape.push(
                extent.map_err(|_| OpError::Unsupported("a negative kernel extent".to_owned()))?,
            );
        }
        Ok(Some(shape))
    }
}

impl Operator for Conv {
    fn op_type(&self) -> &'static str {
        "Conv"
    }

    fn since(&self) -> &'static [i64] {
        &[1, 11, 22]
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let x = required(inputs, 0)?;
        let (Some(shape), Some(weight)) = (&x.shape, Self::weight(node, inputs)?) else {
            return Ok(output(node, x.dtype, None));
        };
        let groups = Self::groups(node)?;
        let [batch, channels, height, width] = image(shape, 0)?;
        if weight.len() != 4 {
            return Err(bad(1, format!("shape {weight:?} is not that of a kernel over images")));
        }
        if weight[1].checked_mul(groups) != Some(channels) || weight[0] % groups != 0 {
            return Err(bad(
                1,
                format!("shape {weight:?} does not fit {channels} channels in {groups} groups"),
            ));
        }
        if let Some(bias) = maybe_shape(inputs, 2)
            && bias != [weight[0]]
        {
            return Err(bad(2, format!("shape {bias:?} is not one value per output channel")));
        }
        let window = Self::window(node, &weight, [height, width])?;
        let [out_height, out_width] = window.output;
        Ok(output(node, x.dtype, Some(vec![batch, weight[0], out_height, out_width])))
    }

    fn slots(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<SlotRule>, OpError> {
        let groups = Self::groups(node)?;
        let weight = Self::weight(node, inputs)?;
        let fan_in = weight.as_ref().map(|shape| shape.iter().skip(1).product());
        let bias = weight.as_ref().map(|shape| vec![shape[0]]);
        let rule =
            |input, role, layout, shape| SlotRule { input, role, layout, groups, fan_in, shape };
        Ok(vec![
            rule(1, Role::Weight, Layout::OutIn, weight),
            rule(2, Role::Bias, Layout::Vector, bias),
        ])
    }

    fn features(&self, node: &Node, inputs: &[Option<Fact>]) -> Features {
        let weight = Self::weight(node, inputs).ok().flatten();
        let kernel = match weight.as_deref() {
            Some([_, _, height, width]) => [*height, *width],
            _ => [0; 2],
        };
        Features {
            kernel,
            stride: sizes(node, "strides", 1).unwrap_or([1; 2]),
            dilation: sizes(node, "dilations", 1).unwrap_or([1; 2]),
            groups: Self::groups(node).unwrap_or(1),
        }
    }

    fn execute(
        &self,
        node: &Node,
        inputs: &[Option<Array>],
        _device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let (x, weight) = (array(inputs, 0)?, array(inputs, 1)?);
        let shape = image(x.shape(), 0)?;
        let kernel = image(weight.shape(), 1)?;
        let Window { stride, dilation, pads, .. } =
            Self::window(node, weight.shape(), [shape[2], shape[3]])?;
        let bias: Option<Tensor<1>> = maybe(inputs, 2).map(|bias| bias.floats(2)).transpose()?;
        let padding = [(pads[0], pads[2]), (pads[1], pads[3])];
        let options = ConvOptions::new_with_padding(stride, padding, dilation, Self::groups(node)?);
        let result = module::conv2d(x.view(0, shape)?, weight.view(1, kernel)?, bias, options);
        Ok(vec![Array::of(result)])
    }

    fn lower(&self, node: &Node, inputs: &[Option<Fact>]) -> Option<Step> {
        let [_, _, height, width] = image(maybe_shape(inputs, 0)?, 0).ok()?;
        let weight = Self::weight(node, inputs).ok()??;
        let Window { stride, dilation, pads, .. } =
            Self::window(node, &weight, [height, width]).ok()?;
        Some(Step::Conv2d { groups: Self::groups(node).ok()?, stride, dilation, pads })
    }
}

/// `ConvTranspose`: known so far by its parameters and shape; running it is refused.
struct ConvTranspose;

impl Operator for ConvTranspose {
    fn op_type(&self) -> &'static str {
        "ConvTranspose"
    }

    fn since(&self) -> &'static [i64] {
        &[1, 11, 22]
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let x = required(inputs, 0)?;
        let (Some(shape), Some(weight)) = (&x.shape, shape_of(inputs, 1)?) else {
            return Ok(output(node, x.dtype, None));
        };
        let [batch, _, height, width] = image(shape, 0)?;
        let [_, outputs, kh, kw] = image(weight, 1)?;
        let groups = Conv::groups(node)?;
        let stride: [usize; 2] = sizes(node, "strides", 1)?;
        let dilation: [usize; 2] = sizes(node, "dilations", 1)?;
        let pads: [usize; 4] = sizes(node, "pads", 0)?;
        let extra: [usize; 2] = sizes(node, "output_padding", 0)?;
        let extent = |axis: usize, input: usize, kernel: usize| {
            let span = stride[axis] * input.saturating_sub(1) + extra[axis];
            (span + dilation[axis] * kernel.saturating_sub(1) + 1)
                .checked_sub(pads[axis] + pads[axis + 2])
        };
        let automatic = node.attributes.ints("output_shape")?.is_some()
            || node.attributes.string("auto_pad", "NOTSET")? != "NOTSET";
        let shape = match (extent(0, height, kh), extent(1, width, kw)) {
            (Some(height), Some(width)) if !automatic => {
                Some(vec![batch, outputs * groups, height, width])
            }
            _ => None,
        };
        Ok(output(node, x.dtype, shape))
    }

    fn slots(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<SlotRule>, OpError> {
        let groups = Conv::groups(node)?;
        let weight = maybe_shape(inputs, 1);
        let fan_in = weight
            .filter(|shape| shape.len() > 2)
            .map(|shape| shape[0] / groups * shape[2..].iter().product::<usize>());
        let rule =
            |input, role, layout| SlotRule { input, role, layout, groups, fan_in, shape: None };
        Ok(vec![rule(1, Role::Weight, Layout::InOut), rule(2, Role::Bias, Layout::Vector)])
    }

    fn execute(&self, _: &Node, _: &[Option<Array>], _: &Device) -> Result<Vec<Array>, OpError> {
        Err(OpError::Unsupported("running a transposed convolution".to_owned()))
    }
}

/// Every operator of this family.
pub(super) fn operators() -> Vec<Box<dyn Operator>> {
    vec![Box::new(Conv), Box::new(ConvTranspose)]
}
