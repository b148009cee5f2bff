//! Values that are made as large as others before they meet them: operators that broadcast need no `Expand`,
//! and a `Resize` to a size that is a multiple of the image's has the multiple as its scale.

use super::{
    super::{Constant, NodeIndex, Operand, Tensor},
    edit::Editor,
};

/// Sums and products with an expanded value.
pub(super) fn unexpanded(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    ["Add", "Sub", "Mul", "Div"].iter().find(|it| editor.is(node, it))?;
    let [a, b] = [editor.input(node, 0), editor.input(node, 1)];
    let (slot, expand) = [(0, a), (1, b)]
        .into_iter()
        .find_map(|(slot, operand)| Some((slot, editor.made_by(operand, "Expand")?)))?;
    let other = if slot == 0 { b } else { a };
    let output = editor.shape(Operand::Node { node, slot: 0 })?;
    let large = editor.shape(other)? == output;
    let small = editor.input(expand, 0);
    // An `Expand` may have the only axis of the batch.
    let broadcasts = editor.shape(small)?.len() <= output.len();
    (large && broadcasts).then(|| editor.set_input(node, slot, small))
}

/// A `Resize` by scales instead of sizes.
pub(super) fn scaled(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    editor.is(node, "Resize").then_some(())?;
    let data = editor.input(node, 0);
    editor.value(editor.input(node, 3))?;
    let (from, to) = (editor.shape(data)?, editor.shape(Operand::Node { node, slot: 0 })?);
    let whole = from.iter().zip(to).all(|(&from, &to)| from > 0 && to % from == 0);
    let scales: Vec<f32> =
        from.iter().zip(to).map(|(&from, &to)| to as f32 / from as f32).collect();
    let attributes = &editor.node(node).attributes.0;
    let other = ["keep_aspect_ratio_policy", "axes"].iter().any(|it| attributes.contains_key(*it));
    (whole && !other).then_some(())?;
    let region = editor.input(node, 1);
    let scales =
        editor.constant(Constant::Float(Tensor { shape: vec![scales.len()], data: scales }));
    editor.set_inputs(node, &[data, region, scales]);
    Some(())
}
