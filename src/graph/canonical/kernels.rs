//! Kernels that are stored with their axes in another order, such as height × width × in × out, or under
//! other extents, and brought into that of a convolution by `Transpose` and `Reshape`.

use super::{
    super::{Form, NodeIndex, Operand, Origin, Parameter, ParameterId, storage::Permuted},
    edit::Editor,
};

/// Makes the kernel that the convolution sees the parameter.
pub(super) fn turn(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    if !editor.is(node, "Conv") && !editor.is(node, "ConvTranspose") {
        return None;
    }
    let kernel = editor.input(node, 1);
    let shape = editor.shape(kernel)?.to_vec();
    let mut operand = kernel;
    let mut turned: Option<Permuted> = None;
    let parameter = loop {
        let Operand::Node { node: behind, slot: 0 } = operand else {
            break editor.parameter(operand)?;
        };
        if operand != kernel {
            editor.only_reader(operand)?;
        }
        let source = editor.input(behind, 0);
        if let Some(order) = editor.order_of_axes(behind) {
            if turned.is_some() {
                return None;
            }
            turned = Some(Permuted { extents: editor.shape(source)?.to_vec(), order });
        } else if !["Reshape", "Squeeze", "Unsqueeze"].iter().any(|it| editor.is(behind, it)) {
            return None;
        }
        operand = source;
    };
    if operand == kernel {
        return None;
    }
    let same = Permuted { extents: shape.clone(), order: (0..shape.len()).collect() };
    let composed = compose(editor, parameter, shape, turned.unwrap_or(same))?;
    editor.replace(kernel, composed);
    Some(())
}

/// A parameter in place of one that only one input reads; of what the file stores, the map makes the
/// values.
pub(super) fn compose(
    editor: &mut Editor,
    parameter: ParameterId,
    shape: Vec<usize>,
    map: Permuted,
) -> Option<Operand> {
    editor.only_reader(Operand::Parameter(parameter))?;
    let stored = editor.architecture.parameters[parameter.0].clone();
    if matches!(stored.origin, Origin::Composed { .. }) || !stored.dtype.is_float() {
        return None;
    }
    let seen = Parameter { shape: Some(shape), slots: Vec::new(), ..stored };
    Some(editor.compose_one(parameter, seen, map, Form::Parameters))
}
