//! `Mish`, which PyTorch's TorchScript exporter writes as `x · tanh(softplus(x))` before opset 18, and
//! `Softplus`, which others write as `log(1 + exp(x))`.

use super::{
    super::{NodeIndex, Operand},
    edit::Editor,
    formula::Affine,
};

pub(super) fn recognise(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    if !editor.is(node, "Mul") {
        return None;
    }
    let x = editor.both_ways(node).into_iter().find_map(|(x, gate)| {
        let tanh = editor.made_by(gate, "Tanh")?;
        let softplus = editor.made_by(editor.input(tanh, 0), "Softplus")?;
        (editor.input(softplus, 0) == x).then_some(x)
    })?;
    editor.become_operator(node, "Mish", &[], &[x]);
    editor.set_opset(node, 18);
    Some(())
}

pub(super) fn recognise_softplus(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    if !editor.is(node, "Log") {
        return None;
    }
    let exponential = Affine::with(editor, editor.input(node, 0), 1.0, 1.0)?;
    let x = editor.input(editor.made_by(exponential, "Exp")?, 0);
    (editor.shape(x)? == editor.shape(Operand::Node { node, slot: 0 })?).then_some(())?;
    editor.become_operator(node, "Softplus", &[], &[x]);
    Some(())
}
