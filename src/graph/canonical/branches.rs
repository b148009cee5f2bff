//! An `If` whose condition is known is the branch that it takes.

use super::{
    super::{NodeIndex, Operand},
    edit::Editor,
};

/// The reader puts both branches in front of an `If`, which reads the condition, what the one returns and
/// what the other does.
pub(super) fn take(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    if !editor.is(node, "If") {
        return None;
    }
    let results = editor.node(node).outputs.len();
    if editor.node(node).inputs.len() != 1 + 2 * results {
        return None;
    }
    let first = if editor.number(editor.input(node, 0))? != 0.0 { 1 } else { 1 + results };
    for slot in 0..results {
        let taken = editor.input(node, first + slot);
        editor.replace(Operand::Node { node, slot }, taken);
    }
    Some(())
}
