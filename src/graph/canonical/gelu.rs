//! `Gelu`, which PyTorch writes as `x · ½ · (1 + erf(x / √2))` before opset 20 (the dynamo exporter with the
//! ½ at the gate, TorchScript at the end), or with the tanh of a cubic polynomial where that approximation
//! is asked for; ONNX Runtime has operators of its own for both.

use super::{
    super::{Attribute, NodeIndex, Operand},
    edit::Editor,
    formula::{Affine, Product, near},
};

/// First opset with the operator.
const OPSET: i64 = 20;

pub(super) fn recognise(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    let (x, approximate) = runtimes_own(editor, node).or_else(|| spelled(editor, node))?;
    let approximate = Attribute::String(approximate.to_owned());
    editor.become_operator(node, "Gelu", &[("approximate", approximate)], &[x]);
    editor.set_opset(node, OPSET);
    Some(())
}

/// ONNX Runtime's operators, without the bias that they may add.
fn runtimes_own(editor: &Editor, node: NodeIndex) -> Option<(Operand, &'static str)> {
    let it = editor.node(node);
    let approximate = match (it.domain.as_str(), it.op_type.as_str()) {
        ("com.microsoft", "Gelu") => "none",
        ("com.microsoft", "FastGelu") => "tanh",
        _ => return None,
    };
    (editor.input(node, 1) == Operand::Absent).then_some((editor.input(node, 0), approximate))
}

fn spelled(editor: &Editor, node: NodeIndex) -> Option<(Operand, &'static str)> {
    if !editor.is(node, "Mul") && !editor.is(node, "Div") {
        return None;
    }
    let output = Operand::Node { node, slot: 0 };
    Product::of(editor, output, &[])?.factors().find_map(|gate| {
        Affine::all(editor, gate).into_iter().find_map(|affine| {
            let (x, approximate) = gated(editor, affine.of)?;
            let product = Product::of(editor, output, &[x, gate])?;
            let fits = product.is(&[(x, 1.0), (gate, 1.0)])
                && near(product.scale * affine.factor, 0.5)
                && near(product.scale * affine.offset, 0.5)
                && editor.shape(x).is_some()
                && editor.shape(x) == editor.shape(output);
            fits.then_some((x, approximate))
        })
    })
}

/// What is gated by a value between −1 and 1.
fn gated(editor: &Editor, gate: Operand) -> Option<(Operand, &'static str)> {
    if let Some(erf) = editor.made_by(gate, "Erf") {
        let root = std::f32::consts::FRAC_1_SQRT_2;
        return Some((Affine::with(editor, editor.input(erf, 0), root, 0.0)?, "none"));
    }
    let tanh = editor.made_by(gate, "Tanh")?;
    Some((of_polynomial(editor, editor.input(tanh, 0))?, "tanh"))
}

/// The x of `√(2/π) · (x + 0.044715 · x³)`, or of `√(2/π) · x · (1 + 0.044715 · x²)`.
fn of_polynomial(editor: &Editor, polynomial: Operand) -> Option<Operand> {
    const SCALE: f32 = 0.797_884_6;
    const CUBIC: f32 = 0.044_715;
    let product = Product::of(editor, polynomial, &[])?;
    if !near(product.scale, SCALE) {
        return None;
    }
    product.factors().find_map(|sum| {
        let add = editor.made_by(sum, "Add")?;
        editor.both_ways(add).into_iter().find_map(|(x, power)| {
            let (x, rest) = match editor.number(x) {
                Some(one) if near(one, 1.0) => {
                    let square = Product::of(editor, power, &[])?;
                    let (x, _) = square.powers.into_iter().find(|(_, power)| *power == 2.0)?;
                    (x, 2.0)
                }
                _ => (x, 3.0),
            };
            let cubic = Product::of(editor, power, &[x])?;
            let outer = Product::of(editor, polynomial, &[x, sum])?;
            let fits = cubic.is(&[(x, rest)])
                && near(cubic.scale, CUBIC)
                && match rest {
                    2.0 => outer.is(&[(x, 1.0), (sum, 1.0)]),
                    _ => outer.is(&[(sum, 1.0)]),
                };
            fits.then_some(x)
        })
    })
}
