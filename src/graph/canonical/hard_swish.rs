//! `HardSwish` and the `HardSigmoid` that is its gate. PyTorch's TorchScript exporter writes
//! `x · HardSigmoid(x)` before opset 14; networks that spell the functions themselves write
//! `relu6(x + 3) / 6`, with the factor in any place, or `clip(x / 6 + ½, 0, 1)`.

use super::{
    super::{Attribute, NodeIndex, Operand},
    clip::Clipped,
    edit::Editor,
    formula::{Affine, Product, near},
};

const SLOPE: f32 = 1.0 / 6.0;
const MIDDLE: f32 = 0.5;

pub(super) fn recognise(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    let output = Operand::Node { node, slot: 0 };
    if editor.is(node, "Clip") || editor.is(node, "HardSigmoid") {
        let Gate { x, scale } = Gate::of(editor, output)?;
        return near(scale, 1.0).then(|| become_hard_sigmoid(editor, node, x)).flatten();
    }
    if !editor.is(node, "Mul") && !editor.is(node, "Div") {
        return None;
    }
    let factors: Vec<Operand> = Product::of(editor, output, &[])?.factors().collect();
    let (x, gated) = factors.into_iter().find_map(|gate| {
        let Gate { x, scale } = Gate::of(editor, gate)?;
        let product = Product::of(editor, output, &[x, gate])?;
        let gated = product.is(&[(x, 1.0), (gate, 1.0)]);
        let fits = near(product.scale, scale)
            && (gated || product.is(&[(gate, 1.0)]))
            && editor.shape(x).is_some()
            && editor.shape(x) == editor.shape(output);
        fits.then_some((x, gated))
    })?;
    if !gated {
        return become_hard_sigmoid(editor, node, x);
    }
    editor.become_operator(node, "HardSwish", &[], &[x]);
    editor.set_opset(node, 14);
    Some(())
}

/// A value that is a hard sigmoid of x once it is multiplied by `scale`.
struct Gate {
    x: Operand,
    scale: f32,
}

impl Gate {
    fn of(editor: &Editor, operand: Operand) -> Option<Self> {
        let Operand::Node { node, slot: 0 } = operand else { return None };
        if editor.is(node, "HardSigmoid") {
            let attributes = &editor.node(node).attributes;
            let slope = attributes.float("alpha", 0.2).ok()?;
            let middle = attributes.float("beta", 0.5).ok()?;
            return (near(slope, SLOPE) && near(middle, MIDDLE))
                .then(|| Self { x: editor.input(node, 0), scale: 1.0 });
        }
        let clipped = Clipped::by(editor, node)?;
        if clipped.low != 0.0 || !clipped.high.is_finite() {
            return None;
        }
        let x = Affine::with(editor, clipped.of, clipped.high * SLOPE, clipped.high * MIDDLE)?;
        Some(Self { x, scale: 1.0 / clipped.high })
    }
}

fn become_hard_sigmoid(editor: &mut Editor, node: NodeIndex, x: Operand) -> Option<()> {
    let attributes = [("alpha", Attribute::Float(SLOPE)), ("beta", Attribute::Float(MIDDLE))];
    let it = editor.node(node);
    let is_so = it.op_type == "HardSigmoid"
        && attributes.iter().all(|(name, value)| it.attributes.0.get(*name) == Some(value));
    if is_so || editor.shape(x)? != editor.shape(Operand::Node { node, slot: 0 })? {
        return None;
    }
    editor.become_operator(node, "HardSigmoid", &attributes, &[x]);
    editor.set_opset(node, 6);
    Some(())
}
