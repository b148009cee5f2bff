//! What many operators ask of their inputs.

use crate::graph::{Constant, DType, Fact, Node};

use super::{Array, OpError};

/// The fact of an input that must be there.
pub(super) fn required(inputs: &[Option<Fact>], input: usize) -> Result<&Fact, OpError> {
    inputs
        .get(input)
        .and_then(Option::as_ref)
        .ok_or_else(|| OpError::Input { input, problem: "is missing".to_owned() })
}

/// The shape of an input that must be there; `None` where it is not known.
pub(super) fn shape_of(inputs: &[Option<Fact>], input: usize) -> Result<Option<&[usize]>, OpError> {
    Ok(required(inputs, input)?.shape.as_deref())
}

/// The shape of an optional input, if it is there and known.
pub(super) fn maybe_shape(inputs: &[Option<Fact>], input: usize) -> Option<&[usize]> {
    inputs.get(input)?.as_ref()?.shape.as_deref()
}

/// The run-time value of an input that must be there.
pub(super) fn array(inputs: &[Option<Array>], input: usize) -> Result<&Array, OpError> {
    inputs
        .get(input)
        .and_then(Option::as_ref)
        .ok_or_else(|| OpError::Input { input, problem: "is missing".to_owned() })
}

/// The run-time value of an optional input.
pub(super) fn maybe(inputs: &[Option<Array>], input: usize) -> Option<&Array> {
    inputs.get(input).and_then(Option::as_ref)
}

/// The integers of an input, if it is there.
pub(super) fn maybe_ints(
    inputs: &[Option<Array>],
    input: usize,
) -> Result<Option<&[i64]>, OpError> {
    maybe(inputs, input).map(|list| list.ints(input)).transpose()
}

/// The integers of an input that is known statically.
pub(super) fn static_ints(inputs: &[Option<Fact>], input: usize) -> Option<&[i64]> {
    inputs.get(input)?.as_ref()?.value.as_ref()?.ints()
}

/// Whether an input is there, but not known statically.
pub(super) fn is_computed(inputs: &[Option<Fact>], input: usize) -> bool {
    inputs.get(input).is_some_and(Option::is_some) && static_ints(inputs, input).is_none()
}

/// Whether a tensor is small enough to be computed when the graph is read.
pub(super) fn folds(shape: &[usize]) -> bool {
    const LARGEST: usize = 1 << 16;
    shape
        .iter()
        .try_fold(1usize, |count, &extent| count.checked_mul(extent))
        .is_some_and(|count| count <= LARGEST)
}

/// One output of a shape and type.
pub(super) fn output(node: &Node, dtype: Option<DType>, shape: Option<Vec<usize>>) -> Vec<Fact> {
    named(node, 0, dtype, shape, None).into_iter().collect()
}

/// Output `slot` of a node.
pub(super) fn named(
    node: &Node,
    slot: usize,
    dtype: Option<DType>,
    shape: Option<Vec<usize>>,
    value: Option<Constant>,
) -> Option<Fact> {
    let name = node.outputs.get(slot)?.name.clone();
    Some(Fact { name, dtype, shape, value })
}

/// An input of the wrong form.
pub(super) fn bad(input: usize, problem: impl Into<String>) -> OpError {
    OpError::Input { input, problem: problem.into() }
}

/// The shape of a node's first output, if it is known.
pub(super) fn results(node: &Node) -> Option<&[usize]> {
    node.outputs.first()?.shape.as_deref()
}

/// How many values a shape holds; zero where it is not known.
pub(super) fn values(shape: Option<&[usize]>) -> u64 {
    shape.map_or(0, |shape| {
        shape.iter().fold(1, |count, &extent| count.saturating_mul(extent as u64))
    })
}

/// An axis, counted from the end if negative; `extra` is one for axes of a result with one more.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize, OpError> {
    let rank_i = rank as i64;
    if (-rank_i..rank_i).contains(&axis) {
        Ok(axis.rem_euclid(rank_i.max(1)) as usize)
    } else {
        Err(OpError::Unsupported(format!("axis {axis} of a tensor of rank {rank}")))
    }
}

/// The values around an axis: product of the extents before it, its own, product after.
pub(super) fn around(shape: &[usize], axis: usize) -> [usize; 3] {
    [shape[..axis].iter().product(), shape[axis], shape[axis + 1..].iter().product()]
}

/// The shape that two shapes broadcast to (ONNX *Broadcasting*, multidirectional).
pub(super) fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let extent = |shape: &[usize], axis: usize| {
        (axis + shape.len()).checked_sub(rank).map_or(1, |axis| shape[axis])
    };
    (0..rank)
        .map(|axis| match (extent(a, axis), extent(b, axis)) {
            (a, b) if a == b => Some(a),
            (1, b) => Some(b),
            (a, 1) => Some(a),
            _ => None,
        })
        .collect()
}

/// An integer attribute of `count` non-negative values, or a default where absent.
pub(super) fn extents(
    node: &Node,
    name: &str,
    default: usize,
    count: usize,
) -> Result<Vec<usize>, OpError> {
    let Some(values) = node.attributes.ints(name)? else { return Ok(vec![default; count]) };
    // Sums and products of a few such numbers do not overflow.
    let size = |&value: &i64| u16::try_from(value).ok().map(usize::from);
    let values: Option<Vec<usize>> = values.iter().map(size).collect();
    values.filter(|values| values.len() == count).ok_or_else(|| {
        OpError::Unsupported(format!("attribute '{name}' is not {count} numbers from 0 to 65535"))
    })
}

/// [`extents`] of a fixed number.
pub(super) fn sizes<const N: usize>(
    node: &Node,
    name: &str,
    default: usize,
) -> Result<[usize; N], OpError> {
    let mut sizes = [0; N];
    sizes.copy_from_slice(&extents(node, name, default, N)?);
    Ok(sizes)
}

/// An attribute of one number per axis of a window, as the encoder knows it: for the last two.
pub(super) fn last_two(node: &Node, name: &str, default: usize) -> [usize; 2] {
    let values = node.attributes.ints(name).ok().flatten().unwrap_or_default();
    let value = |&value: &i64| usize::try_from(value).unwrap_or(default);
    match values {
        [.., height, width] => [value(height), value(width)],
        [width] => [default, value(width)],
        [] => [default; 2],
    }
}

/// Refuses values that are too large to keep in memory; returns how many numbers they hold.
pub(super) fn bounded(shape: &[usize]) -> Result<usize, OpError> {
    /// Four gigabytes.
    const LARGEST: usize = 1 << 30;
    shape
        .iter()
        .try_fold(1usize, |count, &extent| count.checked_mul(extent))
        .filter(|&count| count <= LARGEST)
        .ok_or_else(|| OpError::Unsupported(format!("a value of shape {shape:?}: it is too large")))
}

/// Geometry of a window that slides over all axes behind the channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slide {
    pub stride: Vec<usize>,
    pub dilation: Vec<usize>,
    /// Pads before and after, by axis.
    pub pads: Vec<[usize; 2]>,
    /// Output extents.
    pub output: Vec<usize>,
}

/// Reads strides, dilations and pads of a window and computes the output extents. `shape` is that
/// of the input, with batch and channels.
pub(super) fn slide(node: &Node, kernel: &[usize], shape: &[usize]) -> Result<Slide, OpError> {
    let axes = kernel.len();
    if shape.len() != axes + 2 {
        return Err(bad(0, format!("shape {shape:?} does not fit a window of {axes} axes")));
    }
    let input = &shape[2..];
    let stride = extents(node, "strides", 1, axes)?;
    let dilation = extents(node, "dilations", 1, axes)?;
    let given = extents(node, "pads", 0, 2 * axes)?;
    let mut pads: Vec<[usize; 2]> =
        (0..axes).map(|axis| [given[axis], given[axis + axes]]).collect();
    if stride.contains(&0) || dilation.contains(&0) || kernel.contains(&0) {
        return Err(OpError::Unsupported("a kernel, stride or dilation of zero".to_owned()));
    }
    let reach: Vec<usize> = (0..axes)
        .map(|axis| (kernel[axis] - 1).saturating_mul(dilation[axis]).saturating_add(1))
        .collect();
    match node.attributes.string("auto_pad", "NOTSET")? {
        "NOTSET" | "" => {}
        "VALID" => pads = vec![[0; 2]; axes],
        mode @ ("SAME_UPPER" | "SAME_LOWER") => {
            for axis in 0..axes {
                let outputs = input[axis].div_ceil(stride[axis]);
                let last = outputs.saturating_sub(1) * stride[axis];
                let span = last.saturating_add(reach[axis]);
                let total = span.saturating_sub(input[axis]);
                let (small, large) = (total / 2, total - total / 2);
                let upper = mode == "SAME_UPPER";
                pads[axis] = if upper { [small, large] } else { [large, small] };
            }
        }
        other => return Err(OpError::Unsupported(format!("auto_pad '{other}'"))),
    }
    let padded: Vec<usize> = (0..axes)
        .map(|axis| input[axis].saturating_add(pads[axis][0]).saturating_add(pads[axis][1]))
        .collect();
    bounded(&[&shape[..2], &padded].concat())?;
    let ceil = node.attributes.int("ceil_mode", 0)? != 0;
    let mut output = vec![0; axes];
    for axis in 0..axes {
        let span = padded[axis].checked_sub(reach[axis]).ok_or_else(|| {
            bad(
                0,
                format!(
                    "extent {} with pads is smaller than the window {}",
                    input[axis], reach[axis]
                ),
            )
        })?;
        output[axis] = span / stride[axis] + 1;
        if ceil && span % stride[axis] != 0 {
            // A window that would start in the right-hand padding is left out.
            let start = output[axis] * stride[axis];
            if start < input[axis] + pads[axis][0] {
                output[axis] += 1;
            }
        }
    }
    Ok(Slide { stride, dilation, pads, output })
}

/// Geometry of a window that slides over images. Rows (rank 3) are images of height one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    /// Top, left, bottom, right.
    pub pads: [usize; 4],
    /// Output height and width.
    pub output: [usize; 2],
}

impl Window {
    /// From the geometry over images or rows; other ranks are an error.
    pub fn of(kernel: &[usize], slide: &Slide) -> Result<Self, OpError> {
        let [top, left] = plane(&slide.pads, [0, 0])?;
        Ok(Self {
            kernel: plane(kernel, 1)?,
            stride: plane(&slide.stride, 1)?,
            dilation: plane(&slide.dilation, 1)?,
            pads: [top[0], left[0], top[1], left[1]],
            output: plane(&slide.output, 1)?,
        })
    }
}

/// One thing for each axis of an image, of which rows have the second only.
pub(super) fn plane<T: Copy>(axes: &[T], unit: T) -> Result<[T; 2], OpError> {
    match *axes {
        [width] => Ok([unit, width]),
        [height, width] => Ok([height, width]),
        _ => Err(OpError::Unsupported(format!("a window over {} axes", axes.len()))),
    }
}

/// Reads strides, dilations and pads of a two-dimensional window and computes the output extent.
pub(super) fn window(
    node: &Node,
    kernel: [usize; 2],
    image: [usize; 4],
) -> Result<Window, OpError> {
    Window::of(&kernel, &slide(node, &kernel, &image)?)
}

/// Batch, channels, height and width of images, or of rows as images of height one.
pub(super) fn rows_or_image(shape: &[usize], input: usize) -> Result<[usize; 4], OpError> {
    match *shape {
        [batch, channels, width] => Ok([batch, channels, 1, width]),
        _ => image(shape, input),
    }
}

/// Batch, channels, height and width.
pub(super) fn image(shape: &[usize], input: usize) -> Result<[usize; 4], OpError> {
    shape.try_into().map_err(|_| {
        OpError::Unsupported(format!(
            "input {input} of rank {}; only images (rank 4) are supported",
            shape.len()
        ))
    })
}
