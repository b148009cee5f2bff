//! Nodes that hand an input on as it is: `Identity`, `Dropout`, a `Cast` to the type that a value
//! has, a `Reshape` or `Resize` to the shape that it has, a `Transpose` that moves nothing.

use super::{
    super::{DType, NodeIndex, Operand},
    edit::Editor,
};

pub(super) fn remove(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    let input = editor.input(node, 0);
    let output = Operand::Node { node, slot: 0 };
    let read_mask = !editor.readers(Operand::Node { node, slot: 1 }).is_empty();
    let passes = match editor.node(node) {
        it if !it.domain.is_empty() => false,
        it => match it.op_type.as_str() {
            "Identity" => true,
            "Dropout" => !read_mask,
            "Cast" => same_type(editor, input, it.attributes.int("to", 0).ok()?),
            "CastLike" => {
                dtype(editor, input).is_some()
                    && dtype(editor, input) == dtype(editor, editor.input(node, 1))
            }
            "Transpose" => {
                let order = it.attributes.ints("perm").ok()??;
                order.iter().zip(0..).all(|(&axis, place)| axis == place)
            }
            // One with a computed target may repeat a tensor for every image.
            "Expand" if !matches!(editor.input(node, 1), Operand::Constant(_)) => false,
            "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Expand" => {
                let shape = editor.shape(input);
                shape.is_some() && shape == editor.shape(output)
            }
            "Pad" => {
                let shape = editor.shape(input);
                shape.is_some()
                    && shape == editor.shape(output)
                    && editor.ints(editor.input(node, 1))?.iter().all(|&pad| pad == 0)
            }
            "Concat" => it.inputs.len() == 1,
            // By extents, not by factors, which may round.
            "Resize" => {
                let by_extents = editor.input(node, 3) != Operand::Absent;
                let whole = it.attributes.string("coordinate_transformation_mode", "half_pixel")
                    != Ok("tf_crop_and_resize");
                let shape = editor.shape(input);
                shape.is_some() && shape == editor.shape(output) && by_extents && whole
            }
            "Slice" => {
                let shape = editor.shape(input);
                let steps = editor.input(node, 4);
                let plain =
                    steps == Operand::Absent || editor.ints(steps)?.iter().all(|&step| step == 1);
                shape.is_some() && shape == editor.shape(output) && plain
            }
            _ => false,
        },
    };
    // What the graph returns is the result of a node.
    let returned = editor.is_returned(output) && !matches!(input, Operand::Node { .. });
    let static_value = editor.value(output).is_some();
    if !passes || returned || static_value || input == Operand::Absent {
        return None;
    }
    editor.replace(output, input);
    Some(())
}

fn dtype(editor: &Editor, operand: Operand) -> Option<DType> {
    editor.architecture.fact(operand)?.dtype
}

fn same_type(editor: &Editor, input: Operand, number: i64) -> bool {
    let target = DType::from_onnx(i32::try_from(number).unwrap_or(0));
    let own = dtype(editor, input);
    // Floats of any width are computed with in 32 bits here.
    own == Some(target) || own.is_some_and(|own| own.is_float() && target.is_float())
}

/// A product with one, a sum with zero.
pub(super) fn remove_neutral(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    let neutral = match editor.node(node).op_type.as_str() {
        "Mul" | "Div" => 1.0,
        "Add" | "Sub" => 0.0,
        _ => return None,
    };
    editor.node(node).domain.is_empty().then_some(())?;
    let commutes = editor.is(node, "Mul") || editor.is(node, "Add");
    let [a, b] = [editor.input(node, 0), editor.input(node, 1)];
    let output = Operand::Node { node, slot: 0 };
    let pairs = [(a, b), (b, a)];
    let rest =
        pairs.into_iter().take(if commutes { 2 } else { 1 }).find_map(|(rest, number)| {
            let same = editor.shape(rest).is_some() && editor.shape(rest) == editor.shape(output);
            let is_neutral = editor.number(number) == Some(neutral)
                || editor.value(number).is_some() && editor.is_filled(number, neutral);
            (same && is_neutral).then_some(rest)
        })?;
    let returned = editor.is_returned(output) && !matches!(rest, Operand::Node { .. });
    let is_static = editor.value(output).is_some();
    (!returned && !is_static).then(|| editor.replace(output, rest))
}
