//! A tensor taken apart along an axis, as queries, keys and values are that one layer makes: TorchScript writes
//! a `Split`, the dynamo exporter a `Slice` for each part.

use super::{
    super::{Attribute, NodeIndex, Operand},
    edit::Editor,
};

/// The opset from which on lengths are an input.
const OPSET: i64 = 13;

/// One `Split` for `Slice`s of length one that are all of a value.
pub(super) fn split(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    let (axis, _) = part(editor, node)?;
    let x = editor.input(node, 0);
    let count = *editor.shape(x)?.get(axis)?;
    let mut slices = vec![None; count];
    for &(reader, _) in editor.readers(x) {
        if let Some((along, start)) = part(editor, reader)
            && along == axis
        {
            slices[start] = slices[start].or(Some(reader));
        }
    }
    let slices = slices.into_iter().collect::<Option<Vec<NodeIndex>>>().filter(|_| count > 1)?;
    let shape = editor.shape(Operand::Node { node, slot: 0 })?.to_vec();
    let lengths = editor.int_list(vec![1; count]);
    let attributes = [("axis", Attribute::Int(axis as i64))];
    let Operand::Node { node: split, .. } =
        editor.insert(node, "Split", &attributes, &[x, lengths], Some(shape.clone()))
    else {
        return None;
    };
    editor.set_opset(split, OPSET);
    for (slot, slice) in slices.into_iter().enumerate() {
        if slot > 0 {
            editor.add_output(split, shape.clone());
        }
        editor.replace(Operand::Node { node: slice, slot: 0 }, Operand::Node { node: split, slot });
    }
    Some(())
}

/// Axis and place of a `Slice` of length one.
fn part(editor: &Editor, node: NodeIndex) -> Option<(usize, usize)> {
    if !editor.is(node, "Slice") || editor.node(node).opset < 10 {
        return None;
    }
    let one = |slot: usize| match editor.ints(editor.input(node, slot)) {
        Some(&[value]) => Some(value),
        _ => None,
    };
    let steps = editor.input(node, 4) == Operand::Absent || one(4) == Some(1);
    let (start, axis) = (one(1)?, one(3)?);
    let shape = editor.shape(editor.input(node, 0))?;
    let result = editor.shape(Operand::Node { node, slot: 0 })?;
    let wrapped = |value: i64, extent: usize| {
        usize::try_from(if value < 0 { value + extent as i64 } else { value }).ok()
    };
    let axis = wrapped(axis, shape.len()).filter(|&axis| axis < shape.len())?;
    let start = wrapped(start, shape[axis]).filter(|&start| start < shape[axis])?;
    (steps && result[axis] == 1).then_some((axis, start))
}
