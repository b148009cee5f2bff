//! A tensor taken apart along an axis, as queries, keys and values are that one layer makes, or the two halves of
//! a shuffled image: a `Split`, where exporters also write a `Slice` for each part.

use std::collections::BTreeMap;

use super::{
    super::{Attribute, NodeIndex, Operand},
    edit::Editor,
};

/// The opset from which on lengths are an input.
const OPSET: i64 = 13;

/// One `Split` for `Slice`s that together are all of a value.
pub(super) fn split(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    let (axis, ..) = part(editor, node)?;
    let x = editor.input(node, 0);
    let extent = *editor.shape(x)?.get(axis)?;
    let mut slices: BTreeMap<(usize, usize), Vec<NodeIndex>> = BTreeMap::new();
    for &(reader, _) in editor.readers(x) {
        if let Some((along, start, end)) = part(editor, reader)
            && along == axis
            && !editor.is_dead(reader)
        {
            slices.entry((start, end)).or_default().push(reader);
        }
    }
    let covered = slices
        .keys()
        .try_fold(0, |covered, &(start, end)| (start == covered && end > start).then_some(end));
    (covered == Some(extent) && slices.len() > 1).then_some(())?;
    let lengths = slices.keys().map(|(start, end)| (end - start) as i64).collect();
    let lengths = editor.int_list(lengths);
    let negative = axis + 1 == editor.shape(x)?.len();
    let attributes = [("axis", Attribute::Int(if negative { -1 } else { axis as i64 }))];
    let mut split = None;
    for (slot, slices) in slices.into_values().enumerate() {
        let shape = editor.shape(Operand::Node { node: slices[0], slot: 0 })?.to_vec();
        let split = match split {
            None => {
                let first = editor.insert(node, "Split", &attributes, &[x, lengths], Some(shape));
                let Operand::Node { node: made, .. } = first else { return None };
                editor.set_opset(made, OPSET);
                *split.insert(made)
            }
            Some(split) => {
                editor.add_output(split, shape);
                split
            }
        };
        for slice in slices {
            let part = Operand::Node { node: split, slot };
            editor.replace(Operand::Node { node: slice, slot: 0 }, part);
        }
    }
    Some(())
}

/// Axis, start and end of a `Slice` along one axis.
pub(super) fn part(editor: &Editor, node: NodeIndex) -> Option<(usize, usize, usize)> {
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
    steps.then_some((axis, start, start + result[axis]))
}
