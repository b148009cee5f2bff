//! `InstanceNormalization` without parameters of its own: ONNX asks for gain and shift, so PyTorch's exporters
//! make ones and zeros up, as `Constant` nodes or, once folded, as initializers called `val_7`. They are no
//! parameters of the network.

use super::{
    super::{Constant, NodeIndex, Origin, Parameter, Role},
    edit::Editor,
};

/// Makes gains and shifts that an exporter invented constants.
pub(super) fn keep_invented(editor: &mut Editor) {
    // Some exporters write all weights as `Constant` nodes.
    let weights_are_constants = editor.architecture.parameters.iter().any(|parameter| {
        parameter.role() == Some(Role::Weight) && matches!(parameter.origin, Origin::Constant(_))
    });
    let invented = |parameter: &Parameter| match parameter.origin {
        Origin::Constant(_) => !weights_are_constants,
        _ => is_numbered(&parameter.name),
    };
    for node in editor.architecture.order.clone() {
        if editor.is(node, "InstanceNormalization") {
            keep(editor, node, invented);
        }
    }
}

fn keep(editor: &mut Editor, node: NodeIndex, invented: impl Fn(&Parameter) -> bool) -> Option<()> {
    let operands = [1, 2].map(|slot| editor.input(node, slot));
    let ids = [editor.parameter(operands[0])?, editor.parameter(operands[1])?];
    let all = ids.iter().all(|id| invented(&editor.architecture.parameters[id.0]));
    if !all || !editor.is_filled(operands[0], 1.0) || !editor.is_filled(operands[1], 0.0) {
        return None;
    }
    let mut inputs = vec![editor.input(node, 0)];
    for id in ids {
        let value = editor.architecture.parameters[id.0].value.clone()?;
        inputs.push(editor.constant(Constant::Float(value)));
    }
    editor.set_inputs(node, &inputs);
    ids.into_iter().for_each(|id| editor.forget(id));
    Some(())
}

/// Whether a name is one of those that the dynamo exporter counts.
fn is_numbered(name: &str) -> bool {
    let number = name.strip_prefix("val_").unwrap_or_default();
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}
