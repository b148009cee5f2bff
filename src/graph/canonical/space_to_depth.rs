//! A convolution of an image whose blocks of pixels became channels, as stems write it that read every pixel once
//! (TResNet; `PixelUnshuffle`): it is a convolution of the image, with a larger kernel and stride.

use super::{
    super::{Attribute, NodeIndex, Operand, storage::Permuted},
    edit::Editor,
    kernels::compose,
};

/// An image and its blocks.
struct Blocks {
    image: Operand,
    channels: usize,
    side: usize,
    /// Axes of `[N, channels, rows, side, columns, side]` that became channels, outermost first.
    order: [usize; 3],
}

/// Lets a convolution read the image itself.
pub(super) fn stride(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    editor.is(node, "Conv").then_some(())?;
    let attributes = &editor.node(node).attributes;
    let plain = attributes.int("group", 1) == Ok(1)
        && matches!(attributes.string("auto_pad", "NOTSET"), Ok("NOTSET" | ""))
        && editor.is_all(node, "dilations", 1);
    let Blocks { image, channels, side, order } = blocks(editor, editor.input(node, 0))?;
    let parameter = editor.parameter(editor.input(node, 1))?;
    let shape = editor.architecture.parameters[parameter.0].shape.clone()?;
    let &[out, inputs, height, width] = shape.as_slice() else { return None };
    (plain && inputs == channels * side * side).then_some(())?;
    let scaled = |name: &str, count: usize, default: i64| -> Option<Vec<i64>> {
        let given = editor.node(node).attributes.ints(name).ok()?;
        let values = given.map_or(vec![default; count], <[i64]>::to_vec);
        (values.len() == count).then(|| values.iter().map(|value| value * side as i64).collect())
    };
    let (strides, pads) = (scaled("strides", 2, 1)?, scaled("pads", 4, 0)?);
    let kernel = [height * side, width * side];

    let extent = |axis: usize| if axis == 1 { channels } else { side };
    let [first, second, third] = order.map(extent);
    let place = |axis: usize| order.iter().position(|&other| other == axis).map(|at| at + 1);
    let map = Permuted {
        extents: vec![out, first, second, third, height, width],
        order: vec![0, place(1)?, 4, place(3)?, 5, place(5)?],
    };
    let composed = compose(editor, parameter, vec![out, channels, kernel[0], kernel[1]], map)?;
    let ints = |values: Vec<i64>| Attribute::Ints(values);
    editor.set_attribute(node, "kernel_shape", ints(kernel.map(|side| side as i64).to_vec()));
    editor.set_attribute(node, "strides", ints(strides));
    editor.set_attribute(node, "pads", ints(pads));
    editor.set_input(node, 0, image);
    editor.set_input(node, 1, composed);
    Some(())
}

/// What a value's channels are the blocks of.
fn blocks(editor: &Editor, value: Operand) -> Option<Blocks> {
    let &[batch, all, rows, columns] = editor.shape(value)? else { return None };
    if let Some(node) = editor.made_by(value, "SpaceToDepth") {
        let side = usize::try_from(editor.node(node).attributes.int("blocksize", 0).ok()?).ok()?;
        let image = editor.input(node, 0);
        let &[_, channels, ..] = editor.shape(image)? else { return None };
        return Some(Blocks { image, channels, side, order: [3, 5, 1] });
    }
    let turn = editor.made_by(editor.input(editor.made_by(value, "Reshape")?, 0), "Transpose")?;
    let cut = editor.input(turn, 0);
    let image = editor.input(editor.made_by(cut, "Reshape")?, 0);
    let &[_, channels, height, width] = editor.shape(image)? else { return None };
    let side = height / rows.max(1);
    let split = [batch, channels, rows, side, columns, side];
    let whole = [height, width] == [rows * side, columns * side] && all == channels * side * side;
    (whole && side > 1 && editor.shape(cut)? == split).then_some(())?;
    let [0, order @ .., 2, 4] = <[usize; 6]>::try_from(editor.order_of_axes(turn)?).ok()? else {
        return None;
    };
    let mut sorted = order;
    sorted.sort_unstable();
    (sorted == [1, 3, 5]).then_some(Blocks { image, channels, side, order })
}
