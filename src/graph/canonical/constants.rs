//! Values that are known before the network runs, wherever they are computed: the operators that read them
//! read constants. Sizes that follow from those of an input are left to the rewrite of batches.

use super::{
    super::{Constant, NodeIndex, Operand},
    edit::Editor,
};

/// Replaces computed inputs of one node.
pub(super) fn fold(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    let own = editor.node(node);
    let is_static =
        !own.outputs.is_empty() && own.outputs.iter().all(|output| output.value.is_some());
    if is_static {
        return None;
    }
    let sized = ["Reshape", "Expand", "Tile", "ConstantOfShape"];
    let sized = sized.iter().any(|it| editor.is(node, it));
    let mut inputs = own.inputs.clone();
    let mut folded = false;
    for input in &mut inputs {
        if let Operand::Node { .. } = *input
            && let Some(value) = editor.value(*input).cloned()
            && !(sized && editor.follows_input(*input))
        {
            *input = match editor.renamed_constant(*input) {
                Some(constant) => constant,
                None => editor.constant(value),
            };
            folded = true;
        }
    }
    folded.then(|| editor.set_inputs(node, &inputs))
}

/// A bias of zeros that is no parameter is none.
pub(super) fn remove_zero_bias(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    let linear = ["Conv", "ConvTranspose", "Gemm"].iter().any(|it| editor.is(node, it));
    let bias = editor.value(editor.input(node, 2)).filter(|_| linear)?;
    let zeros = matches!(bias, Constant::Float(tensor) if tensor.data.iter().all(|&it| it == 0.0));
    let inputs = editor.node(node).inputs[..2].to_vec();
    zeros.then(|| editor.set_inputs(node, &inputs))
}

/// A `Slice` in steps of one does not say so, and ends where its data ends.
pub(super) fn plain_slice(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    editor.is(node, "Slice").then_some(())?;
    let inputs = editor.node(node).inputs.clone();
    let mut plain = inputs.clone();
    let ones =
        |operand: &Operand| editor.ints(*operand).is_some_and(|it| it.iter().all(|&it| it == 1));
    if plain.len() == 5 && ones(&plain[4]) {
        plain.pop();
    }
    let shape = editor.shape(*plain.first()?)?.to_vec();
    let bounds = |slot: usize| editor.ints(editor.input(node, slot)).map(<[i64]>::to_vec);
    let (starts, ends, axes) = (bounds(1)?, bounds(2)?, bounds(3)?);
    let (mut low, mut high, mut along) = (Vec::new(), Vec::new(), Vec::new());
    let stepped = plain.len() == 5;
    for ((&start, &end), &axis) in starts.iter().zip(&ends).zip(&axes) {
        let axis = if axis < 0 { axis + shape.len() as i64 } else { axis };
        let extent = *shape.get(usize::try_from(axis).ok()?)? as i64;
        let within = |bound: i64| (if bound < 0 { bound + extent } else { bound }).clamp(0, extent);
        let given = |bound: i64| if stepped { bound } else { within(bound) };
        low.push(given(start));
        high.push(given(end));
        along.push(axis);
    }
    if (&low, &high, &along) == (&starts, &ends, &axes) && plain.len() == inputs.len() {
        return None;
    }
    for (slot, list) in [(1, low), (2, high), (3, along)] {
        plain[slot] = editor.int_list(list);
    }
    editor.set_inputs(node, &plain);
    Some(())
}
