//! `Softmax` that guards against rows of which all is masked: PyTorch's dynamo exporter writes
//! `scaled_dot_product_attention` so that such a row, which is not a number, becomes zero. Without a mask there is none.

use super::{
    super::{NodeIndex, Operand},
    edit::Editor,
};

/// Takes the guard away from scores that nothing masks.
pub(super) fn unguarded(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    editor.is(node, "Where").then_some(())?;
    let guarded = editor.input(node, 2);
    let test = editor.made_by(editor.input(node, 0), "IsNaN")?;
    let softmax = editor.made_by(guarded, "Softmax")?;
    let output = Operand::Node { node, slot: 0 };
    let same = editor.input(test, 0) == guarded
        && editor.shape(guarded).is_some()
        && editor.shape(guarded) == editor.shape(output);
    (same && !is_masked(editor, editor.input(softmax, 0))).then_some(())?;
    editor.replace(output, guarded);
    Some(())
}

/// Whether scores may be minus infinity: only products and sums with finite constants are known not to be.
fn is_masked(editor: &Editor, scores: Operand) -> bool {
    let finite = |operand: &Operand| match (operand, editor.value(*operand)) {
        (_, Some(value)) => {
            value.floats().is_some_and(|values| values.iter().all(|value| value.is_finite()))
        }
        (Operand::Parameter(_), None) => true,
        (operand, None) => !is_masked(editor, *operand),
    };
    let Operand::Node { node, slot: 0 } = scores else { return true };
    match editor.node(node) {
        it if !it.domain.is_empty() => true,
        it => match it.op_type.as_str() {
            "MatMul" => false,
            "Add" | "Mul" | "Div" => !it.inputs.iter().all(finite),
            "Reshape" => is_masked(editor, it.inputs[0]),
            _ => true,
        },
    }
}
