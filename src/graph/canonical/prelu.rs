//! `PRelu` with a vector of slopes, as in opset 6 and in PyTorch: later opsets broadcast from the last axis, so
//! exporters reshape the slopes to `[C, 1, 1]`, or store them so.

use super::{super::NodeIndex, edit::Editor, vector::Vector};

/// The opset in which a vector stands for one value per channel.
const OPSET: i64 = 6;

pub(super) fn flatten(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    if !editor.is(node, "PRelu") || editor.node(node).opset <= OPSET {
        return None;
    }
    let (x, slope) = (editor.input(node, 0), editor.input(node, 1));
    let shape = editor.shape(x).filter(|shape| shape.len() >= 2)?.to_vec();
    // One slope for all channels broadcasts as it is.
    let slope = Vector::along(editor, slope, &shape, 1)?.for_node(editor, node);
    (editor.shape(slope)? == [shape[1]]).then_some(())?;
    editor.set_inputs(node, &[x, slope]);
    editor.set_opset(node, OPSET);
    Some(())
}
