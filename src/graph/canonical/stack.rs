//! The mean or sum of values that were stacked for it, `torch.stack(scores).mean(0)`: that of the values.

use super::{
    super::{Constant, NodeIndex, Operand, Tensor},
    edit::Editor,
    permutation,
};

pub(super) fn reduce(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    let averages = editor.is(node, "ReduceMean");
    (averages || editor.is(node, "ReduceSum")).then_some(())?;
    let stack = editor.made_by(editor.input(node, 0), "Concat")?;
    let rank = editor.shape(editor.input(node, 0))?.len();
    let along = permutation::axis(editor.node(stack).attributes.int("axis", 0).ok()?, rank)?;
    let is_along = |axes: Option<Vec<i64>>| {
        let axes = axes.unwrap_or_default();
        matches!(axes[..], [axis] if permutation::axis(axis, rank) == Some(along))
    };
    let goes = editor.node(node).attributes.int("keepdims", 1) == Ok(0);
    (goes && is_along(editor.given(node, 1, "axes"))).then_some(())?;
    let value = |&part: &Operand| {
        let unsqueeze = editor.made_by(part, "Unsqueeze")?;
        is_along(editor.given(unsqueeze, 1, "axes")).then(|| editor.input(unsqueeze, 0))
    };
    let values: Vec<_> = editor.node(stack).inputs.iter().map(value).collect::<Option<_>>()?;
    let [first, middle @ .., last] = values.as_slice() else { return None };
    let shape = editor.shape(*first)?.to_vec();
    let mut sum = *first;
    for &value in middle {
        sum = editor.insert(node, "Add", &[], &[sum, value], Some(shape.clone()));
    }
    if averages {
        sum = editor.insert(node, "Add", &[], &[sum, *last], Some(shape));
        let share = Tensor { shape: vec![1], data: vec![1.0 / values.len() as f32] };
        let share = editor.constant(Constant::Float(share));
        editor.become_operator(node, "Mul", &[], &[sum, share]);
    } else {
        editor.become_operator(node, "Add", &[], &[sum, *last]);
    }
    Some(())
}
