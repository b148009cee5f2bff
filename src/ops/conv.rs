//! Convolutions.

use burn::tensor::{
    Device, Tensor, module,
    ops::{ConvOptions, ConvTransposeOptions, PadMode},
};

use crate::{
    graph::{Fact, Layout, Node, Role},
    kernels::Step,
};

use super::{
    Array, Features, OpError, Operator, OperatorFamily, SlotRule,
    helpers::{
        Window, array, bad, image, last_two, maybe, maybe_shape, output, required, results,
        rows_or_image, shape_of, sizes, slide, values, window,
    },
};

/// `Conv`: x `[N, C, H, W]`, weight `[O, C / groups, kh, kw]`, optional bias `[O]`; or with one or
/// three axes in place of H and W.
struct Conv;

impl Conv {
    fn window(node: &Node, weight: &[usize], image: [usize; 4]) -> Result<Window, OpError> {
        let kernel = match *weight {
            [_, _, height, width] => [height, width],
            _ => {
                return Err(OpError::Unsupported(
                    "a convolution that is not over images".to_owned(),
                ));
            }
        };
        window(node, kernel, image)
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

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Convolution
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
        let &[batch, channels, ..] = &shape[..] else {
            return Err(bad(0, format!("shape {shape:?} has no channel axis")));
        };
        if weight.len() != shape.len() {
            return Err(bad(1, format!("shape {weight:?} is no kernel over {shape:?}")));
        }
        if !(3..=5).contains(&shape.len()) {
            return Err(OpError::Unsupported(format!("a convolution of rank {}", shape.len())));
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
        let area = slide(node, &weight[2..], shape)?.output;
        Ok(output(node, x.dtype, Some([&[batch, weight[0]], &area[..]].concat())))
    }

    fn slots(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<SlotRule>, OpError> {
        let groups = Self::groups(node)?;
        let weight = Self::weight(node, inputs)?;
        let fan_in = weight.as_ref().map(|shape| shape.iter().skip(1).product());
        let bias = weight.as_ref().and_then(|shape| Some(vec![*shape.first()?]));
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
            Some([_, _, .., height, width]) => [*height, *width],
            Some([_, _, width]) => [1, *width],
            _ => [0; 2],
        };
        Features {
            kernel,
            stride: last_two(node, "strides", 1),
            dilation: last_two(node, "dilations", 1),
            groups: Self::groups(node).unwrap_or(1),
        }
    }

    fn multiply_accumulates(&self, node: &Node, inputs: &[Option<Fact>]) -> u64 {
        let weight = Self::weight(node, inputs).ok().flatten();
        weight.map_or(0, |weight| values(results(node)).saturating_mul(values(weight.get(1..))))
    }

    fn execute(
        &self,
        node: &Node,
        inputs: &[Option<Array>],
        _device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let (x, weight) = (array(inputs, 0)?, array(inputs, 1)?);
        let groups = Self::groups(node)?;
        let bias: Option<Tensor<1>> = maybe(inputs, 2).map(|bias| bias.floats(2)).transpose()?;
        let slide = slide(node, &weight.shape()[2..], x.shape())?;
        let shape = [&[x.shape()[0], weight.shape()[0]], &slide.output[..]].concat();
        if let (&[n, c, d, h, w], &[o, i, depth, height, width]) = (x.shape(), weight.shape()) {
            let triple = |of: &[usize]| [of[0], of[1], of[2]];
            // burn pads volumes evenly only.
            let pads: [(usize, usize); 3] =
                std::array::from_fn(|axis| (slide.pads[axis][0], slide.pads[axis][1]));
            let x = x.view::<5>(0, [n, c, d, h, w])?.pad(pads, PadMode::Constant(0.0));
            let (stride, dilation) = (triple(&slide.stride), triple(&slide.dilation));
            let options = ConvOptions::new(stride, [0; 3], dilation, groups);
            let weight = weight.view(1, [o, i, depth, height, width])?;
            let result = module::conv3d(x, weight, bias, options);
            return Ok(vec![Array::flat(result, shape)]);
        }
        let Window { stride, dilation, pads, .. } = Window::of(&weight.shape()[2..], &slide)?;
        let (image, kernel) = (rows_or_image(x.shape(), 0)?, rows_or_image(weight.shape(), 1)?);
        let padding = [(pads[0], pads[2]), (pads[1], pads[3])];
        let options = ConvOptions::new_with_padding(stride, padding, dilation, groups);
        let result = module::conv2d(x.view(0, image)?, weight.view(1, kernel)?, bias, options);
        Ok(vec![Array::flat(result, shape)])
    }

    fn lower(&self, node: &Node, inputs: &[Option<Fact>]) -> Option<Step> {
        let weight = Self::weight(node, inputs).ok()??;
        let groups = Self::groups(node).ok()?;
        let shape = maybe_shape(inputs, 0)?;
        if let (&[_, _, _], &[_, _, length]) = (shape, &weight[..]) {
            // A row is an image of one column.
            let slide = slide(node, &[length], shape).ok()?;
            let [stride, dilation] = [slide.stride[0], slide.dilation[0]].map(|step| [step, 1]);
            let pads = [slide.pads[0][0], 0, slide.pads[0][1], 0];
            return Some(Step::Conv2d { groups, stride, dilation, pads });
        }
        let sides = image(shape, 0).ok()?;
        let Window { stride, dilation, pads, .. } = Self::window(node, &weight, sides).ok()?;
        Some(Step::Conv2d { groups, stride, dilation, pads })
    }
}

/// `ConvTranspose`: x `[N, C, H, W]`, weight `[C, O / groups, kh, kw]`, optional bias `[O]`.
struct ConvTranspose;

/// Geometry of a transposed convolution.
struct Spread {
    stride: [usize; 2],
    dilation: [usize; 2],
    /// Rows and columns added at the end.
    extra: [usize; 2],
    /// Where the output begins in the full result, and its extents.
    cut: [[usize; 2]; 2],
}

impl Spread {
    fn new(node: &Node, kernel: [usize; 2], input: [usize; 2]) -> Result<Self, OpError> {
        let refuse = |what: &str| Err(OpError::Unsupported(what.to_owned()));
        let automatic =
            !matches!(node.attributes.string("auto_pad", "NOTSET")?, "NOTSET" | "VALID");
        if automatic || node.attributes.ints("output_shape")?.is_some() {
            return refuse("a transposed convolution whose pads follow from its output");
        }
        let stride: [usize; 2] = sizes(node, "strides", 1)?;
        let dilation: [usize; 2] = sizes(node, "dilations", 1)?;
        let pads: [usize; 4] = sizes(node, "pads", 0)?;
        let extra: [usize; 2] = sizes(node, "output_padding", 0)?;
        if stride.contains(&0) || dilation.contains(&0) || kernel.contains(&0) {
            return refuse("a kernel, stride or dilation of zero");
        }
        if (0..2).any(|axis| extra[axis] >= stride[axis].max(dilation[axis])) {
            return refuse("output_padding that is not below strides and dilations");
        }
        let extent = |axis: usize| {
            let spread = stride[axis].checked_mul(input[axis].checked_sub(1)?)?;
            let reach = dilation[axis].checked_mul(kernel[axis] - 1)?;
            let full = spread.checked_add(reach)?.checked_add(1 + extra[axis])?;
            full.checked_sub(pads[axis])?.checked_sub(pads[axis + 2]).filter(|&extent| extent > 0)
        };
        let (Some(height), Some(width)) = (extent(0), extent(1)) else {
            return refuse("pads that leave nothing of the output");
        };
        Ok(Self { stride, dilation, extra, cut: [[pads[0], height], [pads[1], width]] })
    }
}

impl Operator for ConvTranspose {
    fn op_type(&self) -> &'static str {
        "ConvTranspose"
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Convolution
    }

    fn since(&self) -> &'static [i64] {
        &[1, 11, 22]
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let x = required(inputs, 0)?;
        let (Some(shape), Some(weight)) = (&x.shape, shape_of(inputs, 1)?) else {
            return Ok(output(node, x.dtype, None));
        };
        let [batch, channels, height, width] = image(shape, 0)?;
        let [ins, outs, rows, columns] = image(weight, 1)?;
        let groups = Conv::groups(node)?;
        if ins != channels || !channels.is_multiple_of(groups) {
            let problem =
                format!("shape {weight:?} does not fit {channels} channels in {groups} groups");
            return Err(bad(1, problem));
        }
        let outs = outs.saturating_mul(groups);
        if maybe_shape(inputs, 2).is_some_and(|bias| bias != [outs]) {
            return Err(bad(2, "is not one value per output channel"));
        }
        let [[_, height], [_, width]] = Spread::new(node, [rows, columns], [height, width])?.cut;
        Ok(output(node, x.dtype, Some(vec![batch, outs, height, width])))
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

    fn features(&self, node: &Node, inputs: &[Option<Fact>]) -> Features {
        let kernel = match maybe_shape(inputs, 1) {
            Some([_, _, height, width]) => [*height, *width],
            _ => [0; 2],
        };
        Features {
            kernel,
            stride: sizes(node, "strides", 1).unwrap_or([1; 2]),
            dilation: sizes(node, "dilations", 1).unwrap_or([1; 2]),
            groups: Conv::groups(node).unwrap_or(1),
        }
    }

    fn multiply_accumulates(&self, _node: &Node, inputs: &[Option<Fact>]) -> u64 {
        let weight = maybe_shape(inputs, 1);
        values(maybe_shape(inputs, 0))
            .saturating_mul(values(weight.and_then(|weight| weight.get(1..))))
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
        let spread = Spread::new(node, [kernel[2], kernel[3]], [shape[2], shape[3]])?;
        let bias: Option<Tensor<1>> = maybe(inputs, 2).map(|bias| bias.floats(2)).transpose()?;
        let Spread { stride, dilation, extra, cut: [[top, height], [left, width]] } = spread;
        let groups = Conv::groups(node)?;
        let options = ConvTransposeOptions::new(stride, [0, 0], extra, dilation, groups);
        let full =
            module::conv_transpose2d(x.view(0, shape)?, weight.view(1, kernel)?, bias, options);
        Ok(vec![Array::of(full.narrow(2, top, height).narrow(3, left, width))])
    }
}

/// Every operator of this family.
pub(super) fn operators() -> Vec<Box<dyn Operator>> {
    vec![Box::new(Conv), Box::new(ConvTranspose)]
}
