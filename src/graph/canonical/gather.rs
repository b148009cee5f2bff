//! Rows of a table taken by their numbers, such as biases of relative positions. PyTorch's newer exporter writes
//! a `GatherND` by tuples of one number, others a `Gather`.

use super::{
    super::{Attribute, Constant, NodeIndex},
    edit::Editor,
};

pub(super) fn rows(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    editor.is(node, "GatherND").then_some(())?;
    let whole = editor.node(node).attributes.int("batch_dims", 0) == Ok(0);
    let numbers = editor.value(editor.input(node, 1))?;
    let (&[ref shape @ .., 1], true) = (numbers.shape(), whole) else { return None };
    let numbers = Constant::Int { shape: shape.to_vec(), data: numbers.ints()?.to_vec() };
    let (table, numbers) = (editor.input(node, 0), editor.constant(numbers));
    let first = [("axis", Attribute::Int(0))];
    editor.become_operator(node, "Gather", &first, &[table, numbers]);
    Some(())
}
