//! A `Transpose` of a `Transpose` is one, or none. Only an image whose channels come first and go last again
//! at once is left as it is: networks that predictors know have norms over channels in a row, each between
//! two transposes.

use super::{super::NodeIndex, edit::Editor, permutation};

pub(super) fn join(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    let outer = editor.order_of_axes(node)?;
    let behind = editor.made_by(editor.input(node, 0), "Transpose")?;
    let inner = editor.order_of_axes(behind).filter(|inner| inner.len() == outer.len())?;
    let rank = outer.len();
    if rank > 3
        && inner == permutation::channels_first(rank)
        && outer == permutation::channels_last(rank)
    {
        return None;
    }
    let source = editor.input(behind, 0);
    editor.set_attribute(node, "perm", permutation::attribute(&permutation::take(&outer, &inner)));
    editor.set_input(node, 0, source);
    Some(())
}
