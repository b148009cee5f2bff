//! `Softmax` that guards against rows of which all is masked: PyTorch's dynamo exporter writes
//! `scaled_dot_product_attention` so that such a row, which is not a number, becomes zero. Without a mask there is none.

use super::{
    super::{Constant, NodeIndex, Operand},
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

/// Most nodes between the product of queries and keys and what its softmax reads.
const LONGEST: usize = 8;

/// Whether scores may be minus infinity, as far as is known: products of matrices are not, nor what finite constants and
/// parameters are added to.
fn is_masked(editor: &Editor, mut scores: Operand) -> bool {
    for _ in 0..LONGEST {
        let Operand::Node { node, slot: 0 } = scores else { return true };
        let operands = match editor.node(node) {
            it if !it.domain.is_empty() => return true,
            it => match it.op_type.as_str() {
                "MatMul" => return false,
                "Add" | "Mul" | "Div" => &it.inputs[..],
                "Reshape" => it.inputs.get(..1).unwrap_or_default(),
                _ => return true,
            },
        };
        let is_finite = |operand: &Operand| match operand {
            Operand::Parameter(_) => true,
            operand => editor
                .value(*operand)
                .and_then(Constant::floats)
                .is_some_and(|values| values.iter().all(|value| value.is_finite())),
        };
        let mut others = operands.iter().filter(|operand| !is_finite(operand));
        let (Some(&computed), None) = (others.next(), others.next()) else { return true };
        scores = computed;
    }
    true
}
