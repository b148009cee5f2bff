//! A `Transpose` of a `Transpose` is one, or none.

use super::{super::NodeIndex, edit::Editor, permutation};

pub(super) fn join(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    let outer = permutation::order(editor, node)?;
    let behind = editor.made_by(editor.input(node, 0), "Transpose")?;
    let inner = permutation::order(editor, behind).filter(|inner| inner.len() == outer.len())?;
    let source = editor.input(behind, 0);
    editor.set_attribute(
        node,
        "perm",
        permutation::attribute(&permutation::take(&outer, &inner)),
    );
    editor.set_input(node, 0, source);
    Some(())
}
