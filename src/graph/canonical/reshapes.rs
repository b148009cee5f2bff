//! `Reshape`s next to others: two in a row are one, and one that leaves the last two axes alone stands in front
//! of the `Transpose` that exchanges them. An image of one pixel that is read by its elements' numbers, as
//! PyTorch's dynamo exporter writes a change of strides, is the image.

use super::{
    super::{Attribute, NodeIndex, Operand},
    edit::Editor,
};

/// The second of two `Reshape`s.
pub(super) fn join(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    editor.is(node, "Reshape").then_some(())?;
    let first = editor.made_by(editor.input(node, 0), "Reshape")?;
    let data = editor.input(first, 0);
    let target = editor.input(node, 1);
    let (from, between) = (editor.shape(data)?, editor.shape(editor.input(node, 0))?);
    // "As the input has it" must mean the same for both.
    let kept = editor.ints(target)?.iter().enumerate().filter(|(_, extent)| **extent == 0);
    let same = kept.into_iter().all(|(axis, _)| from.get(axis) == between.get(axis));
    let constant = matches!(target, Operand::Constant(_));
    (same && constant).then(|| editor.set_input(node, 0, data))
}

/// A `Reshape` behind a `Transpose` that exchanges the last two axes, perhaps after it moved others.
pub(super) fn stand_before_swap(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    editor.is(node, "Reshape").then_some(())?;
    let swap = editor.made_by(editor.input(node, 0), "Transpose")?;
    editor.only_reader(Operand::Node { node: swap, slot: 0 })?;
    let order = editor.node(swap).attributes.ints("perm").ok()??;
    let rank = order.len();
    let swaps = rank == 3 && order[1] > order[2] && order[2] >= 0;
    let order = order.to_vec();
    let (before, after) = (
        editor.shape(editor.input(node, 0))?.to_vec(),
        editor.shape(Operand::Node { node, slot: 0 })?.to_vec(),
    );
    let mut target = editor.ints(editor.input(node, 1))?.to_vec();
    let constant = matches!(editor.input(node, 1), Operand::Constant(_));
    let last = after.len().checked_sub(2).filter(|&last| last > 1)?;
    let explicit = target[last..].iter().all(|&extent| extent > 0);
    if !swaps || !constant || !explicit || after[last..] != before[rank - 2..] {
        return None;
    }
    let mut data = editor.input(swap, 0);
    if order != [0, 2, 1] {
        let perm = [("perm", Attribute::Ints(vec![order[0], order[2], order[1]]))];
        let shape = vec![before[0], before[2], before[1]];
        data = editor.insert(swap, "Transpose", &perm, &[data], Some(shape));
    }
    target.swap(last, last + 1);
    let mut shape = after.clone();
    shape.swap(last, last + 1);
    let target = editor.int_list(target);
    let reshaped = editor.insert(node, "Reshape", &[], &[data, target], Some(shape));
    let mut order: Vec<i64> = (0..after.len() as i64).collect();
    order.swap(last, last + 1);
    editor.become_operator(node, "Transpose", &[("perm", Attribute::Ints(order))], &[reshaped]);
    Some(())
}

/// All elements of a value in their order, taken by their numbers.
pub(super) fn by_numbers(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    editor.is(node, "Gather").then_some(())?;
    let flat = editor.made_by(editor.input(node, 0), "Reshape")?;
    let data = editor.input(flat, 0);
    let numbers = editor.ints(editor.input(node, 1))?;
    let in_order = numbers.iter().zip(0..).all(|(&number, place)| number == place);
    let all = [numbers.len()] == *editor.shape(editor.input(node, 0))?;
    let output = Operand::Node { node, slot: 0 };
    let same = editor.shape(data)? == editor.shape(output)?;
    (in_order && all && same).then(|| editor.replace(output, data))
}
