//! Global average pooling, which exporters also write as a mean over rows and columns, or over a window larger than
//! the image, and the `Flatten` behind it, which they also write as a `Reshape` or a `Squeeze`.

use super::{
    super::{Attribute, NodeIndex, Operand},
    edit::Editor,
};

/// A mean over the two axes of an image.
pub(super) fn mean_of_images(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    editor.is(node, "ReduceMean").then_some(())?;
    let image = editor.input(node, 0);
    let &[batch, channels, _, _] = editor.shape(image)? else { return None };
    let axes = editor.ints(editor.input(node, 1))?;
    let mut axes: Vec<i64> =
        axes.iter().map(|&axis| if axis < 0 { axis + 4 } else { axis }).collect();
    axes.sort_unstable();
    (axes == [2, 3]).then_some(())?;
    if editor.node(node).attributes.int("keepdims", 1) == Ok(1) {
        editor.become_operator(node, "GlobalAveragePool", &[], &[image]);
        return Some(());
    }
    let shape = Some(vec![batch, channels, 1, 1]);
    let pooled = editor.insert(node, "GlobalAveragePool", &[], &[image], shape);
    editor.become_operator(node, "Flatten", &[("axis", Attribute::Int(1))], &[pooled]);
    Some(())
}

/// The mean of a row that was made an image for it, as the dynamo exporter writes `AdaptiveAvgPool1d`.
pub(super) fn mean_of_rows(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    editor.is(node, "GlobalAveragePool").then_some(())?;
    let image = editor.input(node, 0);
    let made = ["Unsqueeze", "Reshape"].into_iter().find_map(|it| editor.made_by(image, it))?;
    let rows = editor.input(made, 0);
    let (&[batch, channels, length], &[_, own, height, width]) =
        (editor.shape(rows)?, editor.shape(image)?)
    else {
        return None;
    };
    (own == channels && height * width == length && height.min(width) == 1).then_some(())?;
    let shape = Some(vec![batch, channels, 1]);
    let pooled = editor.insert(node, "GlobalAveragePool", &[], &[rows], shape);
    let axes = editor.int_list(vec![3]);
    editor.become_operator(node, "Unsqueeze", &[], &[pooled, axes]);
    Some(())
}

/// A mean over a window that is larger than the image, which `ceil_mode` allows.
pub(super) fn of_the_image(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    editor.is(node, "AveragePool").then_some(())?;
    let image = editor.input(node, 0);
    let &[_, _, height, width] = editor.shape(image)? else { return None };
    let &[_, _, 1, 1] = editor.shape(Operand::Node { node, slot: 0 })? else { return None };
    let attributes = &editor.node(node).attributes;
    let &[rows, columns] = attributes.ints("kernel_shape").ok()?? else { return None };
    let [rows, columns] = [usize::try_from(rows).ok()?, usize::try_from(columns).ok()?];
    let is_larger = rows >= height && columns >= width && (rows > height || columns > width);
    let plain = matches!(attributes.string("auto_pad", "NOTSET"), Ok("NOTSET" | "VALID" | ""));
    let tight = editor.is_all(node, "pads", 0) && editor.is_all(node, "dilations", 1);
    (is_larger && plain && tight).then_some(())?;
    editor.become_operator(node, "GlobalAveragePool", &[], &[image]);
    Some(())
}

/// All but the first axis of what the network computes, in one.
pub(super) fn flatten(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    let reshapes = ["Reshape", "Squeeze", "Flatten"].iter().any(|it| editor.is(node, it));
    let output = Operand::Node { node, slot: 0 };
    let read = editor.input(node, 0);
    let data = without_unit_axes(editor, read);
    let known =
        editor.value(output).is_some() || !matches!(data, Operand::Node { .. } | Operand::Input(_));
    if !reshapes || known {
        return None;
    }
    let batch = *editor.shape(Operand::Input(0))?.first()?;
    let (from, to) = (editor.shape(data)?, editor.shape(output)?);
    let axis = [("axis", Attribute::Int(1))];
    let done = editor.is(node, "Flatten") && editor.node(node).attributes.int("axis", 1) == Ok(1);
    let flattens = to.len() == 2 && from.len() > 2 && from[0] == batch && to[0] == batch;
    (flattens && !(done && data == read))
        .then(|| editor.become_operator(node, "Flatten", &axis, &[data]))
}

/// What a value with a batch is before axes of one are put behind its first, or taken from there.
fn without_unit_axes(editor: &Editor, value: Operand) -> Operand {
    let mut found = value;
    let first = |operand| editor.shape(operand).and_then(<[usize]>::first);
    loop {
        let made = ["Squeeze", "Unsqueeze"].into_iter().find_map(|it| editor.made_by(found, it));
        let Some(before) = made.map(|node| editor.input(node, 0)) else { return found };
        let has_axes = editor.shape(before).is_some_and(|shape| shape.len() > 2);
        let is_computed = matches!(before, Operand::Node { .. });
        if !has_axes || !is_computed || first(before) != first(value) {
            return found;
        }
        found = before;
    }
}
