//! A `CastLike` of a value that is known before the network runs is a `Cast` to the type of the other value,
//! of which nothing else matters. PyTorch's dynamo exporter casts its numbers so.

use super::{
    super::{Attribute, NodeIndex},
    edit::Editor,
};

pub(super) fn name_type(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    if !editor.is(node, "CastLike") {
        return None;
    }
    let x = editor.input(node, 0);
    editor.value(x)?;
    let dtype = editor.architecture.fact(editor.input(node, 1))?.dtype?;
    let to = [("to", Attribute::Int(i64::from(dtype.to_onnx())))];
    editor.become_operator(node, "Cast", &to, &[x]);
    Some(())
}
