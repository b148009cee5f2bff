//! Resampling. Every mode is a linear map along each axis on its own, so it is carried out as one
//! small matrix per axis, which is exact in all coordinate conventions and differentiable.

use burn::tensor::{Device, Tensor, TensorData};

use crate::graph::{Constant, Fact, Node};

use super::{
    Array, OpError, Operator, OperatorFamily,
    helpers::{around, array, bad, bounded, maybe, output, required, static_ints},
};

/// `Resize`, or its predecessor `Upsample`.
struct Resize {
    upsample: bool,
}

/// How one axis is resampled.
#[derive(Clone, Copy, Debug)]
struct Axis {
    from: usize,
    to: usize,
    /// Output extent per input extent, as the coordinates count it.
    scale: f32,
}

/// The attributes.
struct Form<'a> {
    mode: &'a str,
    coordinates: &'a str,
    nearest: &'a str,
    cubic: f32,
    exclude_outside: bool,
}

impl<'a> Form<'a> {
    fn of(node: &'a Node, upsample: bool) -> Result<Self, OpError> {
        let text = |name, default| node.attributes.string(name, default);
        let refuse = |what: String| Err(OpError::Unsupported(what));
        let mode = match text("mode", "nearest")? {
            "bilinear" => "linear",
            mode => mode,
        };
        // Opset 10 and `Upsample` know one convention each, without naming it.
        let old = upsample || node.opset < 11;
        let form = Self {
            mode,
            coordinates: match old {
                true => "asymmetric",
                false => text("coordinate_transformation_mode", "half_pixel")?,
            },
            nearest: if old { "floor" } else { text("nearest_mode", "round_prefer_floor")? },
            cubic: node.attributes.float("cubic_coeff_a", -0.75)?,
            exclude_outside: node.attributes.int("exclude_outside", 0)? != 0,
        };
        if !matches!(form.mode, "nearest" | "linear" | "cubic") {
            return refuse(format!("mode '{}'", form.mode));
        }
        if !matches!(
            form.coordinates,
            "half_pixel" | "pytorch_half_pixel" | "align_corners" | "asymmetric"
        ) {
            return refuse(format!("coordinate_transformation_mode '{}'", form.coordinates));
        }
        if !matches!(form.nearest, "round_prefer_floor" | "round_prefer_ceil" | "floor" | "ceil") {
            return refuse(format!("nearest_mode '{}'", form.nearest));
        }
        if node.attributes.int("antialias", 0)? != 0 {
            return refuse("antialias".to_owned());
        }
        if text("keep_aspect_ratio_policy", "stretch")? != "stretch" {
            return refuse("keep_aspect_ratio_policy".to_owned());
        }
        Ok(form)
    }

    /// The matrix `to × from` of one axis.
    fn matrix(&self, axis: Axis) -> Vec<f32> {
        let Axis { from, to, scale } = axis;
        let mut matrix = vec![0.0; to * from];
        let last = from as i64 - 1;
        for (row, weights) in matrix.chunks_exact_mut(from).enumerate() {
            let at = row as f32;
            let place = match self.coordinates {
                "asymmetric" => at / scale,
                "align_corners" if to > 1 => at * last as f32 / (to - 1) as f32,
                "align_corners" => 0.0,
                "pytorch_half_pixel" if to == 1 => 0.0,
                _ => (at + 0.5) / scale - 0.5,
            };
            let mut add = |index: i64, weight: f32| {
                if !(self.exclude_outside && (index < 0 || index > last)) {
                    weights[index.clamp(0, last) as usize] += weight;
                }
            };
            let floor = place.floor();
            let (left, part) = (floor as i64, place - floor);
            match self.mode {
                "nearest" => {
                    let index = match self.nearest {
                        "floor" => floor,
                        "ceil" => place.ceil(),
                        "round_prefer_ceil" => (place + 0.5).floor(),
                        _ => (place - 0.5).ceil(),
                    };
                    add(index as i64, 1.0);
                }
                "linear" => {
                    add(left, 1.0 - part);
                    add(left + 1, part);
                }
                _ => {
                    for offset in -1..=2 {
                        let distance = (offset as f32 - part).abs();
                        add(left + offset, cubic(distance, self.cubic));
                    }
                }
            }
            if self.exclude_outside {
                let sum: f32 = weights.iter().sum();
                weights.iter_mut().for_each(|weight| *weight /= sum);
            }
        }
        matrix
    }
}

/// Keys' kernel with parameter `a`.
fn cubic(distance: f32, a: f32) -> f32 {
    match distance {
        d if d <= 1.0 => ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0,
        d if d < 2.0 => ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a,
        _ => 0.0,
    }
}

impl Resize {
    /// The input slots of scales and sizes, where they exist.
    fn slots(&self, node: &Node) -> (usize, Option<usize>) {
        match (self.upsample, node.opset) {
            (true, _) | (false, ..11) => (1, None),
            _ => (2, Some(3)),
        }
    }

    /// How every axis is resampled; `None` where that is computed.
    fn axes(
        &self,
        node: &Node,
        shape: &[usize],
        scales: Option<&[f32]>,
        sizes: Option<&[i64]>,
    ) -> Result<Option<Vec<Axis>>, OpError> {
        let chosen: Vec<usize> = match node.attributes.ints("axes")? {
            Some(axes) => axes
                .iter()
                .map(|&at| super::helpers::axis(at, shape.len()))
                .collect::<Result<_, _>>()?,
            None => (0..shape.len()).collect(),
        };
        let mut axes: Vec<Axis> =
            shape.iter().map(|&extent| Axis { from: extent, to: extent, scale: 1.0 }).collect();
        let wrong = |slot: usize| bad(slot, format!("does not fit {} axes", chosen.len()));
        if let Some(scales) = scales.filter(|scales| !scales.is_empty()) {
            if scales.len() != chosen.len() {
                return Err(wrong(2));
            }
            for (&at, &scale) in chosen.iter().zip(scales) {
                let to = (shape[at] as f32 * scale).floor();
                if !(scale.is_finite() && scale > 0.0 && (1.0..1e6).contains(&to)) {
                    return Err(OpError::Unsupported(format!("a scale of {scale}")));
                }
                axes[at] = Axis { from: shape[at], to: to as usize, scale };
            }
        } else if let Some(sizes) = sizes {
            if sizes.len() != chosen.len() {
                return Err(wrong(3));
            }
            for (&at, &size) in chosen.iter().zip(sizes) {
                let to = usize::try_from(size).ok().filter(|to| (1..1_000_000).contains(to));
                let to = to.ok_or_else(|| OpError::Unsupported(format!("a size of {size}")))?;
                axes[at] = Axis { from: shape[at], to, scale: to as f32 / shape[at] as f32 };
            }
        } else {
            return Ok(None);
        }
        axes.iter().try_for_each(|axis| bounded(&[axis.from, axis.to]).map(drop))?;
        Ok(Some(axes))
    }
}

impl Operator for Resize {
    fn op_type(&self) -> &'static str {
        if self.upsample { "Upsample" } else { "Resize" }
    }

    fn since(&self) -> &'static [i64] {
        if self.upsample { &[7, 9] } else { &[10, 11, 13, 18, 19] }
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Shape
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        Form::of(node, self.upsample)?;
        let x = required(inputs, 0)?;
        let Some(shape) = &x.shape else { return Ok(output(node, x.dtype, None)) };
        let (scales, sizes) = self.slots(node);
        let value = inputs.get(scales).and_then(|fact| fact.as_ref()?.value.as_ref());
        let given = match value {
            Some(Constant::Float(scales)) => Some(scales.data.clone()),
            _ if self.upsample && node.opset < 9 => floats(node, "scales")?,
            _ => None,
        };
        let sizes = sizes.and_then(|slot| static_ints(inputs, slot));
        let axes = self.axes(node, shape, given.as_deref(), sizes)?;
        let shape = axes.map(|axes| axes.iter().map(|axis| axis.to).collect());
        Ok(output(node, x.dtype, shape))
    }

    fn execute(
        &self,
        node: &Node,
        inputs: &[Option<Array>],
        device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let form = Form::of(node, self.upsample)?;
        let x = array(inputs, 0)?;
        let (scales, sizes) = self.slots(node);
        let given = match maybe(inputs, scales) {
            Some(scales) => Some(scales.download()),
            None => floats(node, "scales")?,
        };
        let sizes = match sizes.and_then(|slot| maybe(inputs, slot)) {
            Some(sizes) => Some(sizes.ints(3)?),
            None => None,
        };
        let axes = self.axes(node, x.shape(), given.as_deref(), sizes)?;
        let axes = axes.ok_or_else(|| bad(scales, "is missing"))?;
        let mut now = x.clone();
        for (at, &axis) in axes.iter().enumerate() {
            if axis.from == axis.to && axis.scale == 1.0 {
                continue;
            }
            let mut shape = now.shape().to_vec();
            shape[at] = axis.to;
            bounded(&shape)?;
            let view: Tensor<3> = now.view(0, around(now.shape(), at))?;
            let matrix = TensorData::new(form.matrix(axis), [1, axis.to, axis.from]);
            let result = Tensor::<3>::from_data(matrix, device).matmul(view);
            now = Array::flat(result, shape);
        }
        Ok(vec![now])
    }
}

/// A list of floats in an attribute, if present.
fn floats(node: &Node, name: &str) -> Result<Option<Vec<f32>>, OpError> {
    match node.attributes.0.get(name) {
        None => Ok(None),
        Some(crate::graph::Attribute::Floats(values)) => Ok(Some(values.clone())),
        Some(_) => Err(OpError::Unsupported(format!("attribute '{name}' is no list of floats"))),
    }
}

/// Every operator of this family.
pub(super) fn operators() -> Vec<Box<dyn Operator>> {
    vec![Box::new(Resize { upsample: false }), Box::new(Resize { upsample: true })]
}
