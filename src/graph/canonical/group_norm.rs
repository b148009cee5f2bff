//! `GroupNormalization` with a gain for each channel, which PyTorch writes before opset 21 as an
//! `InstanceNormalization` of `[N, groups, …]` between two `Reshape`s, and a `Mul` and an `Add` behind them.

use super::{
    super::{Attribute, NodeIndex, Operand},
    edit::Editor,
    vector::Vector,
};

pub(super) fn recognise(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    if !editor.is(node, "Add") {
        return None;
    }
    let output = Operand::Node { node, slot: 0 };
    let spelled = editor.both_ways(node).into_iter().find_map(|(product, shift)| {
        let product = editor.made_by(product, "Mul")?;
        editor.both_ways(product).into_iter().find_map(|(normed, gain)| {
            let spelled = Spelled::of(editor, normed)?;
            let shape = editor.shape(spelled.x).filter(|it| editor.shape(output) == Some(it))?;
            let vector = |operand| Vector::along(editor, operand, shape, 1);
            Some((spelled, vector(gain)?, vector(shift)?))
        })
    });
    let (Spelled { x, groups, epsilon, neutral }, gain, shift) = spelled?;
    let (gain, shift) = (gain.for_node(editor, node), shift.for_node(editor, node));
    let attributes =
        [("epsilon", Attribute::Float(epsilon)), ("num_groups", Attribute::Int(groups))];
    editor.become_operator(node, "GroupNormalization", &attributes, &[x, gain, shift]);
    editor.set_opset(node, 21);
    for operand in neutral {
        if let Operand::Parameter(id) = operand {
            editor.forget(id);
        }
    }
    Some(())
}

/// A value that is normalised over groups of channels.
struct Spelled {
    x: Operand,
    groups: i64,
    epsilon: f32,
    /// The gain and shift that do nothing.
    neutral: [Operand; 2],
}

impl Spelled {
    fn of(editor: &Editor, normed: Operand) -> Option<Self> {
        let back = editor.made_by(normed, "Reshape")?;
        let instances = editor.made_by(editor.input(back, 0), "InstanceNormalization")?;
        let grouped = editor.input(instances, 0);
        let x = editor.input(editor.made_by(grouped, "Reshape")?, 0);
        let (&[batch, channels, ..], &[rows, groups, ..]) =
            (editor.shape(x)?, editor.shape(grouped)?)
        else {
            return None;
        };
        let neutral = [1, 2].map(|slot| editor.input(instances, slot));
        let fits = editor.shape(normed)? == editor.shape(x)?
            && batch == rows
            && groups > 0
            && channels.is_multiple_of(groups)
            && editor.is_filled(neutral[0], 1.0)
            && editor.is_filled(neutral[1], 0.0);
        let epsilon = editor.node(instances).attributes.float("epsilon", 1e-5).ok()?;
        let groups = i64::try_from(groups).ok()?;
        fits.then_some(Self { x, groups, epsilon, neutral })
    }
}
