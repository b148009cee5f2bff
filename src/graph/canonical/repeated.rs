//! Nodes that take the same rows of a value, such as every second one for the patches that Swin merges, are one
//! node, as TorchScript writes them: PyTorch's newer exporter takes `x[0::2]` anew wherever a module does. Other
//! equal nodes are left alone, since two equal branches of a cell are two.

use super::{
    super::{NodeIndex, Operand},
    edit::Editor,
};

/// Whether a node takes some rows of a value and leaves out others between them.
pub(super) fn takes_rows(editor: &Editor, node: NodeIndex) -> bool {
    let steps = editor.ints(editor.input(node, 4));
    editor.is(node, "Slice") && steps.is_some_and(|steps| steps.iter().any(|&step| step != 1))
}

/// Lets the readers of a node read the first that takes the same rows.
pub(super) fn merge(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    takes_rows(editor, node).then_some(())?;
    let data = editor.input(node, 0);
    let own = editor.node(node);
    let same = |&&(other, slot): &&(NodeIndex, usize)| {
        let it = editor.node(other);
        slot == 0
            && (it.position, other) < (own.position, node)
            && (&it.domain, &it.op_type, it.opset) == (&own.domain, &own.op_type, own.opset)
            && it.attributes == own.attributes
            && it.inputs.len() == own.inputs.len()
            && it.inputs.iter().zip(&own.inputs).all(|(&a, &b)| is_same(editor, a, b))
    };
    let computed = matches!(data, Operand::Node { .. } | Operand::Input(_));
    let &(first, _) = editor.readers(data).iter().filter(|_| computed).find(same)?;
    editor.replace(Operand::Node { node, slot: 0 }, Operand::Node { node: first, slot: 0 });
    Some(())
}

/// Whether two operands are the same value, or constants of the same values.
fn is_same(editor: &Editor, a: Operand, b: Operand) -> bool {
    a == b
        || matches!((a, b), (Operand::Constant(_), Operand::Constant(_)))
            && editor.value(a) == editor.value(b)
}
