//! Tokens as maps. A linear map of tokens with a batch norm behind it, as LeViT has for each of its layers, is
//! a convolution of one pixel and a norm over a sequence with its channels second; attention between such
//! layers is moved to that layout, too.

use super::{
    super::{Attribute, NodeIndex, Operand},
    edit::Editor,
    permutation,
};

/// The exchange of the last two axes of three.
const TURNED: [usize; 3] = [0, 2, 1];
/// From `[N, heads, size, tokens]` to `[N, tokens, heads, size]`.
const HEADS_OF_TOKENS: [usize; 4] = [0, 3, 1, 2];

/// A linear map of tokens and the batch norm behind it.
struct NormedLinear {
    norm: NodeIndex,
    /// Nodes that reshape what is normalised.
    reshapes: Vec<NodeIndex>,
    /// Nodes that ask for the shape of what is not.
    shapes: Vec<NodeIndex>,
    batch: usize,
    tokens: usize,
    width: usize,
    out: usize,
}

/// `MatMul` of tokens by a matrix, and a batch norm over all tokens of all images.
pub(super) fn normed(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    let found = NormedLinear::at(editor, node)?;
    let NormedLinear { norm, batch, tokens, width, out, .. } = found;
    let turn = [("perm", permutation::attribute(&TURNED))];
    let rows = editor.input(node, 0);
    let columns = Some(vec![batch, width, tokens]);
    let columns = editor.insert(node, "Transpose", &turn, &[rows], columns);
    let kernel = kernel(editor, node, [out, width]);
    let mapped = Some(vec![batch, out, tokens]);
    let y = editor.insert(node, "Conv", &point(), &[columns, kernel], mapped.clone());
    let attributes = editor.node(norm).attributes.0.clone();
    let attributes: Vec<_> =
        attributes.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    let mut inputs = editor.node(norm).inputs.clone();
    inputs[0] = y;
    let y = editor.insert(norm, "BatchNormalization", &attributes, &inputs, mapped);
    let result = [batch, tokens, out];
    let y = editor.insert(norm, "Transpose", &turn, &[y], Some(result.to_vec()));
    for reshape in found.reshapes {
        let whole = Operand::Node { node: reshape, slot: 0 };
        if editor.shape(whole) == Some(&result) {
            editor.replace(whole, y);
        } else {
            editor.set_input(reshape, 0, y);
        }
    }
    for shape in found.shapes {
        editor.set_input(shape, 0, y);
    }
    Some(())
}

impl NormedLinear {
    fn at(editor: &Editor, node: NodeIndex) -> Option<Self> {
        editor.is(node, "MatMul").then_some(())?;
        let (rows, matrix) = (editor.input(node, 0), editor.input(node, 1));
        let product = Operand::Node { node, slot: 0 };
        let (&[batch, tokens, width], &[_, _, out]) = (editor.shape(rows)?, editor.shape(product)?)
        else {
            return None;
        };
        let turned = editor.made_by(matrix, "Transpose");
        editor.parameter(turned.map_or(matrix, |turn| editor.input(turn, 0)))?;
        let readers = editor.readers(product).iter().map(|(reader, _)| *reader);
        let (shapes, flattened): (Vec<_>, Vec<_>) = readers.partition(|&it| editor.is(it, "Shape"));
        let [flattened] = flattened[..] else { return None };
        let flattened = Operand::Node { node: flattened, slot: 0 };
        (editor.shape(flattened)? == [batch * tokens, out]).then_some(())?;
        let (norm, _) = editor.only_reader(flattened)?;
        let normed = Operand::Node { node: norm, slot: 0 };
        let reshapes: Vec<_> = editor.readers(normed).iter().map(|(reader, _)| *reader).collect();
        let fits = editor.is(norm, "BatchNormalization")
            && reshapes.iter().all(|&reader| follows_elements(editor, reader))
            && !editor.is_returned(normed)
            && !editor.is_returned(product);
        fits.then_some(Self { norm, reshapes, shapes, batch, tokens, width, out })
    }
}

/// The matrix of a `MatMul` as the kernel of a convolution of one pixel.
fn kernel(editor: &mut Editor, node: NodeIndex, [out, width]: [usize; 2]) -> Operand {
    let matrix = editor.input(node, 1);
    let matrix = match editor.made_by(matrix, "Transpose") {
        Some(turn) => editor.input(turn, 0),
        None => {
            let perm = [("perm", Attribute::Ints(vec![1, 0]))];
            editor.insert(node, "Transpose", &perm, &[matrix], Some(vec![out, width]))
        }
    };
    let shape = [out, width, 1];
    let target = editor.extents(&shape);
    editor.insert(node, "Reshape", &[], &[matrix, target], Some(shape.to_vec()))
}

/// Attributes of a convolution of one pixel of a row.
fn point() -> [(&'static str, Attribute); 5] {
    let one = |name| (name, Attribute::Ints(vec![1]));
    [
        one("dilations"),
        ("group", Attribute::Int(1)),
        one("kernel_shape"),
        ("pads", Attribute::Ints(vec![0, 0])),
        one("strides"),
    ]
}

/// Whether a `Reshape` makes the same of its elements, whatever axes they came with.
fn follows_elements(editor: &Editor, node: NodeIndex) -> bool {
    let target = editor.ints(editor.input(node, 1));
    let explicit = target.is_none_or(|target| !target.contains(&0));
    let result = editor.shape(Operand::Node { node, slot: 0 });
    editor.is(node, "Reshape") && result.is_some() && explicit
}

/// A `Reshape` that tells the heads of turned tokens apart, or joins them, in front of the transposition.
pub(super) fn reshape_maps(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    editor.is(node, "Reshape").then_some(())?;
    let turn = editor.made_by(editor.input(node, 0), "Transpose")?;
    let (order, map) = (editor.order_of_axes(turn)?, editor.input(turn, 0));
    let shape = editor.shape(Operand::Node { node, slot: 0 })?.to_vec();
    let (inner, outer) = match (order.as_slice(), editor.shape(map)?, shape.as_slice()) {
        (order, &[batch, width, tokens], &[own, count, heads, size])
            if order == TURNED && [own, count, heads * size] == [batch, tokens, width] =>
        {
            (vec![batch, heads, size, tokens], HEADS_OF_TOKENS.as_slice())
        }
        (order, &[batch, heads, size, tokens], &[own, count, width])
            if order == HEADS_OF_TOKENS && [own, count, width] == [batch, tokens, heads * size] =>
        {
            (vec![batch, width, tokens], TURNED.as_slice())
        }
        _ => return None,
    };
    let mut target: Vec<i64> = inner.iter().map(|&extent| extent as i64).collect();
    target[0] = 0;
    let target = editor.int_list(target);
    let moved = editor.insert(node, "Reshape", &[], &[map, target], Some(inner));
    editor.become_operator(node, "Transpose", &[("perm", permutation::attribute(outer))], &[moved]);
    Some(())
}

/// A `Split` in front of the transposition of what it splits, if all its parts are transposed again.
pub(super) fn split_maps(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    editor.is(node, "Split").then_some(())?;
    let turn = editor.made_by(editor.input(node, 0), "Transpose")?;
    editor.only_reader(Operand::Node { node: turn, slot: 0 })?;
    let order = editor.order_of_axes(turn)?;
    let axis = permutation::axis(editor.node(node).attributes.int("axis", 0).ok()?, order.len())?;
    let parts = (0..editor.node(node).outputs.len()).map(|slot| Operand::Node { node, slot });
    let parts: Vec<Operand> = parts.collect();
    let turns_again = |part: &Operand| {
        let readers = editor.readers(*part);
        let turned = readers.iter().all(|&(reader, _)| editor.order_of_axes(reader).is_some());
        turned && !editor.is_returned(*part)
    };
    parts.iter().all(turns_again).then_some(())?;
    let mut back = vec![0; order.len()];
    for (place, &from) in order.iter().enumerate() {
        back[from] = place;
    }
    for &part in &parts {
        for (reader, _) in editor.readers(part).to_vec() {
            let outer = editor.order_of_axes(reader)?;
            let joined = permutation::attribute(&permutation::take(&outer, &order));
            editor.set_attribute(reader, "perm", joined);
        }
        editor.permute_output(part, &back);
    }
    editor.set_attribute(node, "axis", Attribute::Int(order[axis] as i64));
    let map = editor.input(turn, 0);
    editor.set_input(node, 0, map);
    Some(())
}

/// A mixture of transposed values, which is transposed again: the transposed product of the values and the
/// transposed weights.
pub(super) fn mix_maps(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    editor.is(node, "MatMul").then_some(())?;
    let (weights, turned) = (editor.input(node, 0), editor.input(node, 1));
    let turn = editor.made_by(turned, "Transpose")?;
    let swap = [0, 1, 3, 2];
    let product = Operand::Node { node, slot: 0 };
    let (reader, _) = editor.only_reader(product)?;
    let again = editor.order_of_axes(reader).is_some_and(|order| order == [0, 2, 1, 3]);
    let is_swap = editor.order_of_axes(turn)? == swap;
    let map = editor.input(turn, 0);
    (again && is_swap && editor.made_by(weights, "Softmax").is_some()).then_some(())?;
    let swapped = |editor: &Editor, operand| {
        editor.shape(operand).map(|shape| permutation::take(&swap, shape))
    };
    let (columns, shape) = (swapped(editor, weights)?, swapped(editor, product)?);
    let perm = [("perm", permutation::attribute(&swap))];
    let weights = editor.insert(node, "Transpose", &perm, &[weights], Some(columns));
    let mixed = editor.insert(node, "MatMul", &[], &[map, weights], Some(shape));
    editor.become_operator(node, "Transpose", &perm, &[mixed]);
    Some(())
}
