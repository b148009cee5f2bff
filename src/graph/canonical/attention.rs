//! Scaled dot-product attention spelled out, with the root of the scale on queries and keys as PyTorch's
//! exporters write `scaled_dot_product_attention`: the operator of opset 23 is taken apart, and keys that the
//! dynamo exporter transposes in a batch of matrices are transposed where they are.

use super::{
    super::{Attribute, Constant, NodeIndex, Operand, Tensor},
    edit::Editor,
};

/// Takes an `Attention` without mask, cache or causal order apart.
pub(super) fn spell(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    if !editor.is(node, "Attention") || editor.node(node).outputs.len() != 1 {
        return None;
    }
    let attributes = &editor.node(node).attributes;
    let plain = attributes.int("is_causal", 0) == Ok(0)
        && attributes.float("softcap", 0.0) == Ok(0.0)
        && (3..6).all(|slot| editor.input(node, slot) == Operand::Absent);
    let [query, key, value] = [0, 1, 2].map(|slot| editor.input(node, slot));
    let (&[batch, heads, tokens, width], &[_, key_heads, keys, _]) =
        (editor.shape(query)?, editor.shape(key)?)
    else {
        return None;
    };
    let scale = match attributes.float("scale", 0.0).ok()? {
        0.0 => 1.0 / (width as f32).sqrt(),
        scale => scale,
    };
    if !plain || heads != key_heads || editor.shape(value)?.len() != 4 || scale <= 0.0 {
        return None;
    }
    let root = Tensor { shape: vec![1], data: vec![scale.sqrt()] };
    let root = editor.constant(Constant::Float(root));
    let last = [("axis", Attribute::Int(-1))];
    let swapped = [("perm", Attribute::Ints(vec![0, 1, 3, 2]))];
    let queries = Some(vec![batch, heads, tokens, width]);
    let columns = Some(vec![batch, heads, width, keys]);
    let scores = Some(vec![batch, heads, tokens, keys]);
    let query = editor.insert(node, "Mul", &[], &[query, root], queries);
    let key = editor.insert(node, "Transpose", &swapped, &[key], columns.clone());
    let key = editor.insert(node, "Mul", &[], &[key, root], columns);
    let product = editor.insert(node, "MatMul", &[], &[query, key], scores.clone());
    let weights = editor.insert(node, "Softmax", &last, &[product], scores);
    editor.become_operator(node, "MatMul", &[], &[weights, value]);
    Some(())
}

/// `Transpose` of the last two axes from one between two `Reshape`s that join the axes before them and take
/// them apart again.
pub(super) fn transpose_keys(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    if !editor.is(node, "Reshape") {
        return None;
    }
    let transpose = editor.made_by(editor.input(node, 0), "Transpose")?;
    let joined = editor.input(transpose, 0);
    let keys = editor.input(editor.made_by(joined, "Reshape")?, 0);
    let swaps = editor.node(transpose).attributes.ints("perm").ok()?? == [0, 2, 1];
    let [lead @ .., rows, columns] = editor.shape(keys)? else { return None };
    let [joined_lead @ .., joined_rows, joined_columns] = editor.shape(joined)? else {
        return None;
    };
    let output = Operand::Node { node, slot: 0 };
    let fits = swaps
        && joined_lead.len() == 1
        && [joined_rows, joined_columns] == [rows, columns]
        && editor.shape(output)? == [lead, &[*columns, *rows]].concat();
    if !fits {
        return None;
    }
    let (rank, behind) = (lead.len() as i64, lead.len() as i64 + 1);
    let order = (0..rank).chain([behind, rank]).collect();
    editor.become_operator(node, "Transpose", &[("perm", Attribute::Ints(order))], &[keys]);
    Some(())
}
