//! Pads of a convolution or a pool, which exporters of TensorFlow's networks, and networks that keep its uneven
//! pads, write as a `Pad` in front of it.

use super::{
    super::{Attribute, NodeIndex, Operand},
    clip::Clipped,
    edit::Editor,
    permutation,
};

/// A `Pad` in front becomes part of the window's own pads.
pub(super) fn fold(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    let window = window(editor, node)?;
    let pad = editor.made_by(editor.input(node, 0), "Pad")?;
    let image = editor.input(pad, 0);
    let margin = margin(editor, pad, window.len())?;
    let attributes = &editor.node(node).attributes;
    let explicit = !attributes.0.contains_key("auto_pad");
    let floor = attributes.int("ceil_mode", 0) == Ok(0);
    let own = attributes.ints("pads").ok()??;
    (explicit && floor && own.len() == margin.len()).then_some(())?;
    let value = value(editor, pad)?;
    let same = match editor.node(node).op_type.as_str() {
        "Conv" => value == 0.0,
        "AveragePool" => value == 0.0 && own.iter().all(|&own| own == 0),
        _ => value <= f32::MIN || (value == 0.0 && is_non_negative(editor, image)),
    };
    let pads: Option<Vec<i64>> =
        own.iter().zip(&margin).map(|(&own, &margin)| own.checked_add(margin)).collect();
    let pads = pads?;
    // Every window reaches into the image.
    let reach = window.iter().chain(&window);
    (same && pads.iter().zip(reach).all(|(pad, reach)| pad < reach)).then_some(())?;
    editor.set_attribute(node, "pads", Attribute::Ints(pads));
    if editor.is(node, "AveragePool") {
        editor.set_attribute(node, "count_include_pad", Attribute::Int(1));
    }
    editor.set_input(node, 0, image);
    Some(())
}

/// Extents of the window of a convolution or a pool, dilation included.
fn window(editor: &Editor, node: NodeIndex) -> Option<Vec<i64>> {
    ["Conv", "AveragePool", "MaxPool"].iter().any(|it| editor.is(node, it)).then_some(())?;
    let attributes = &editor.node(node).attributes;
    let kernel = attributes.ints("kernel_shape").ok()??;
    let dilations =
        attributes.ints("dilations").ok()?.map_or(vec![1; kernel.len()], <[i64]>::to_vec);
    let extent = |(&kernel, dilation): (&i64, i64)| {
        kernel.checked_sub(1)?.checked_mul(dilation)?.checked_add(1)
    };
    kernel.iter().zip(dilations).map(extent).collect()
}

/// What a `Pad` adds to the last axes, in front and then behind, if it adds nothing to others.
fn margin(editor: &Editor, pad: NodeIndex, axes: usize) -> Option<Vec<i64>> {
    let attributes = &editor.node(pad).attributes;
    (attributes.string("mode", "constant") == Ok("constant")).then_some(())?;
    let pads = editor.given(pad, 1, "pads")?;
    let rank = editor.shape(editor.input(pad, 0))?.len();
    let chosen: Vec<i64> = match editor.input(pad, 3) {
        Operand::Absent => (0..rank as i64).collect(),
        given => editor.ints(given)?.to_vec(),
    };
    (pads.len() == 2 * chosen.len()).then_some(())?;
    let lead = rank.checked_sub(axes)?;
    let mut margin = vec![0; 2 * axes];
    for (place, &pad) in pads.iter().enumerate() {
        let axis = permutation::axis(chosen[place % chosen.len()], rank)?;
        match axis.checked_sub(lead) {
            Some(axis) if pad >= 0 => {
                margin[place / chosen.len() * axes + axis] = pad;
            }
            _ => (pad == 0).then_some(())?,
        }
    }
    Some(margin)
}

fn value(editor: &Editor, pad: NodeIndex) -> Option<f32> {
    match editor.input(pad, 2) {
        Operand::Absent => editor.node(pad).attributes.float("value", 0.0).ok(),
        value => editor.number(value),
    }
}

/// Whether a value is known to have no negative elements.
fn is_non_negative(editor: &Editor, operand: Operand) -> bool {
    let Operand::Node { node, slot: 0 } = operand else { return false };
    let clipped = Clipped::by(editor, node).is_some_and(|it| it.low >= 0.0);
    clipped || ["Sigmoid", "HardSigmoid"].iter().any(|it| editor.is(node, it))
}
