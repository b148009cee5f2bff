//! `LayerNormalization`, which PyTorch writes as means, differences and a root before opset 17, and networks
//! that normalise the channels of an image themselves (ConvNeXt's `LayerNorm2d`) in every opset. Over the
//! channels of an image it stands between two `Transpose`s, as where the network permutes its axes itself.
//! One without gain has no operator of its own and stays as it is.

use super::{
    super::{Attribute, NodeIndex, Operand},
    edit::Editor,
    formula::Product,
    root_mean_square::Normalised,
    vector::{self, Vector},
};

/// First opset with the operator.
const OPSET: i64 = 17;

pub(super) fn recognise(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    let output = Operand::Node { node, slot: 0 };
    let (Spelled { x, axes, epsilon, gain }, shift) = match () {
        () if editor.is(node, "Add") => {
            let mut ways = editor.both_ways(node).into_iter();
            ways.find_map(|(product, shift)| Some((Spelled::of(editor, product)?, Some(shift))))?
        }
        () if editor.is(node, "Mul") => {
            let spelled = Spelled::of(editor, output)?;
            if is_shifted(editor, output, spelled.gain) {
                return None;
            }
            (spelled, None)
        }
        () => return None,
    };
    let shape = editor.shape(x)?.to_vec();
    if editor.shape(output)? != shape {
        return None;
    }
    let trailing = axes.iter().rev().zip((0..shape.len()).rev()).all(|(&axis, last)| axis == last);
    let operands = [Some(gain), shift];
    match axes[..] {
        [axis] => {
            let vectors = operands.map(|it| it.map(|it| Vector::along(editor, it, &shape, axis)));
            let vectors = vectors.into_iter().flatten().collect::<Option<Vec<Vector>>>()?;
            let vectors = vectors.into_iter().map(|it| it.for_node(editor, node));
            let parameters: Vec<Operand> = vectors.collect();
            match trailing {
                true => normalise(editor, node, [&[x], &parameters[..]].concat(), -1, epsilon),
                false => over_axis(editor, node, x, &parameters, axis, epsilon),
            }
        }
        [_, ..] if trailing => {
            let normalised = &shape[shape.len() - axes.len()..];
            let parameters: Vec<Operand> = operands.into_iter().flatten().collect();
            let fit = parameters
                .iter()
                .all(|&it| editor.parameter(it).is_some() && editor.shape(it) == Some(normalised));
            let first = -(axes.len() as i64);
            fit.then(|| {
                normalise(editor, node, [&[x], &parameters[..]].concat(), first, epsilon);
            })?;
        }
        _ => return None,
    }
    Some(())
}

/// A value that is normalised and multiplied.
struct Spelled {
    x: Operand,
    axes: Vec<usize>,
    epsilon: f32,
    gain: Operand,
}

impl Spelled {
    fn of(editor: &Editor, product: Operand) -> Option<Self> {
        let normalised = Normalised::among(editor, &Product::of(editor, product, &[])?)?;
        let x = normalised.centred(editor)?;
        let &[gain] = &normalised.rest(editor, product)?[..] else { return None };
        Some(Self { x, axes: normalised.axes, epsilon: normalised.epsilon, gain })
    }
}

/// Whether only the addition of a parameter as long as the gain reads a product: that is the shift.
fn is_shifted(editor: &Editor, product: Operand, gain: Operand) -> bool {
    let length = |operand| {
        let id = vector::parameter(editor, operand)?;
        editor.architecture.parameters[id.0].len()
    };
    editor.only_reader(product).is_some_and(|(reader, _)| {
        let mut ways = editor.both_ways(reader).into_iter();
        let shift = ways.find(|(other, _)| *other == product).map(|(_, shift)| shift);
        editor.is(reader, "Add")
            && shift.and_then(length).is_some_and(|it| Some(it) == length(gain))
    })
}

fn attributes(axis: i64, epsilon: f32) -> [(&'static str, Attribute); 2] {
    [("axis", Attribute::Int(axis)), ("epsilon", Attribute::Float(epsilon))]
}

fn normalise(editor: &mut Editor, node: NodeIndex, inputs: Vec<Operand>, axis: i64, epsilon: f32) {
    editor.become_operator(node, "LayerNormalization", &attributes(axis, epsilon), &inputs);
    editor.set_opset(node, OPSET);
}

/// Over an axis that is not the last: it is moved there and back.
fn over_axis(
    editor: &mut Editor,
    node: NodeIndex,
    x: Operand,
    parameters: &[Operand],
    axis: usize,
    epsilon: f32,
) {
    let shape = editor.shape(x).unwrap_or_default().to_vec();
    let mut there: Vec<usize> = (0..shape.len()).collect();
    let moved = there.remove(axis);
    there.push(moved);
    let mut back: Vec<usize> = (0..shape.len() - 1).collect();
    back.insert(axis, shape.len() - 1);
    let order = |axes: &[usize]| {
        [("perm", Attribute::Ints(axes.iter().map(|&axis| axis as i64).collect()))]
    };
    let turned: Vec<usize> = there.iter().map(|&axis| shape[axis]).collect();
    editor.set_opset(node, OPSET);
    let last = editor.insert(node, "Transpose", &order(&there), &[x], Some(turned.clone()));
    let inputs = [&[last], parameters].concat();
    let attributes = attributes(-1, epsilon);
    let normed = editor.insert(node, "LayerNormalization", &attributes, &inputs, Some(turned));
    editor.become_operator(node, "Transpose", &order(&back), &[normed]);
}
