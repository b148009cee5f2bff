//! `RMSNormalization` over the last axis, `x / √(mean(x²) + ε) · g`, which exporters write so before opset 23:
//! PyTorch's dynamo exporter from its own module, and both exporters from language models, which spell it
//! themselves.

use super::{
    super::{Attribute, NodeIndex, Operand},
    edit::Editor,
    formula::Product,
    root_mean_square::Normalised,
    vector::Vector,
};

pub(super) fn recognise(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    if !editor.is(node, "Mul") {
        return None;
    }
    let output = Operand::Node { node, slot: 0 };
    let normalised = Normalised::among(editor, &Product::of(editor, output, &[])?)?;
    let x = normalised.value;
    let shape = editor.shape(x)?;
    let last = shape.len().checked_sub(1)?;
    let &[gain] = &normalised.rest(editor, output)?[..] else { return None };
    let gain = Vector::along(editor, gain, shape, last)?;
    let fits = normalised.axes == [last]
        && normalised.centred(editor).is_none()
        && editor.shape(output)? == shape;
    if !fits {
        return None;
    }
    let gain = gain.for_node(editor, node);
    let epsilon = Attribute::Float(normalised.epsilon);
    let attributes = [("axis", Attribute::Int(-1)), ("epsilon", epsilon)];
    editor.become_operator(node, "RMSNormalization", &attributes, &[x, gain]);
    editor.set_opset(node, 23);
    Some(())
}
