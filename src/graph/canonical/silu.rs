//! SiLU, `x · sigmoid(x)`, has no operator before opset 24: PyTorch writes `Mul(x, Sigmoid(x))`, and so does
//! everybody here. Others put the gate first, write `x / (1 + exp(−x))`, or use `Swish`.

use super::{
    super::{NodeIndex, Operand},
    edit::Editor,
    formula::Affine,
};

/// An opset in which both operators are as they are today.
const OPSET: i64 = 14;

pub(super) fn recognise(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    let (x, gate) = (editor.input(node, 0), editor.input(node, 1));
    if editor.is(node, "Mul") {
        let sigmoid = editor.made_by(x, "Sigmoid")?;
        if editor.input(sigmoid, 0) != gate {
            return None;
        }
        editor.set_inputs(node, &[gate, x]);
        return Some(());
    }
    let is_swish = editor.is(node, "Swish") && {
        let alpha = editor.node(node).attributes.float("alpha", 1.0);
        alpha == Ok(1.0)
    };
    let is_quotient = editor.is(node, "Div") && logistic(editor, gate) == Some(x);
    if !is_swish && !is_quotient {
        return None;
    }
    let shape = editor.shape(x).map(<[usize]>::to_vec);
    let gate = editor.insert(node, "Sigmoid", &[], &[x], shape);
    editor.become_operator(node, "Mul", &[], &[x, gate]);
    editor.set_opset(node, OPSET);
    Some(())
}

/// `Sigmoid` from `1 / (1 + exp(−x))`.
pub(super) fn recognise_sigmoid(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    let denominator = match () {
        () if editor.is(node, "Reciprocal") => editor.input(node, 0),
        () if editor.is(node, "Div") && editor.number(editor.input(node, 0)) == Some(1.0) => {
            editor.input(node, 1)
        }
        () => return None,
    };
    let x = logistic(editor, denominator)?;
    if editor.shape(x)? != editor.shape(Operand::Node { node, slot: 0 })? {
        return None;
    }
    editor.become_operator(node, "Sigmoid", &[], &[x]);
    editor.set_opset(node, OPSET);
    Some(())
}

/// The x of `1 + exp(−x)`.
fn logistic(editor: &Editor, denominator: Operand) -> Option<Operand> {
    let exponential = Affine::with(editor, denominator, 1.0, 1.0)?;
    let exponential = editor.made_by(exponential, "Exp")?;
    Affine::with(editor, editor.input(exponential, 0), -1.0, 0.0)
}
