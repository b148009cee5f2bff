//! Linear maps. A matrix is stored `[out, in]`, as PyTorch keeps it; exporters that fold its transposition
//! store `[in, out]`. Rows are mapped by `Gemm`, tokens by `MatMul` with the transposed matrix and `Add`,
//! the bias first.

use super::{
    super::{Attribute, Form, NodeIndex, Operand, Parameter, storage::Copies},
    edit::Editor,
};

/// A matrix that is stored `[in, out]` becomes the transpose of one that is not.
pub(super) fn turn_matrix(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    let plain_gemm =
        editor.is(node, "Gemm") && editor.node(node).attributes.int("transB", 0) == Ok(0);
    if !plain_gemm && !editor.is(node, "MatMul") {
        return None;
    }
    let matrix = editor.input(node, 1);
    let id = editor.parameter(matrix)?;
    let parameter = editor.architecture.parameters[id.0].clone();
    let Some(&[rows, columns]) = parameter.shape.as_deref() else { return None };
    (editor.is_plain(id) && !parameter.slots.is_empty()).then_some(())?;
    let map = Copies { extents: [columns, rows], transposed: vec![true] };
    let turned = Parameter { shape: Some(vec![columns, rows]), ..parameter };
    let turned = editor.compose_one(id, turned, map, Form::Parameters);
    let order = [("perm", Attribute::Ints(vec![1, 0]))];
    let back = editor.insert(node, "Transpose", &order, &[turned], Some(vec![rows, columns]));
    editor.replace(matrix, back);
    Some(())
}

/// `Gemm` with a transposed matrix.
pub(super) fn transposed_gemm(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    editor.is(node, "Gemm").then_some(())?;
    let given = editor.node(node).attributes.int("transB", 0).ok()?;
    let turn = editor.made_by(editor.input(node, 1), "Transpose")?;
    let matrix = editor.input(turn, 0);
    editor.parameter(matrix)?;
    editor.set_input(node, 1, matrix);
    editor.set_attribute(node, "transB", Attribute::Int(1 - given));
    Some(())
}

/// Rows times a transposed matrix, and a bias.
pub(super) fn rows(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    let (product, bias) = product_and_bias(editor, node)?;
    let rows = editor.input(product, 0);
    (editor.shape(rows)?.len() == 2).then_some(())?;
    let turn = editor.made_by(editor.input(product, 1), "Transpose")?;
    let matrix = editor.input(turn, 0);
    editor.parameter(matrix)?;
    become_gemm(editor, node, &[rows, matrix, bias]);
    Some(())
}

/// Rows times a transposed matrix, where no bias is added.
pub(super) fn rows_without_bias(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    editor.is(node, "MatMul").then_some(())?;
    let rows = editor.input(node, 0);
    (editor.shape(rows)?.len() == 2).then_some(())?;
    let turn = editor.made_by(editor.input(node, 1), "Transpose")?;
    let matrix = editor.input(turn, 0);
    editor.parameter(matrix)?;
    let reader = editor.only_reader(Operand::Node { node, slot: 0 });
    let added = reader.is_some_and(|(reader, _)| product_and_bias(editor, reader).is_some());
    (!added && editor.follows_input(rows)).then(|| become_gemm(editor, node, &[rows, matrix]))
}

fn become_gemm(editor: &mut Editor, node: NodeIndex, inputs: &[Operand]) {
    let attributes = [
        ("alpha", Attribute::Float(1.0)),
        ("beta", Attribute::Float(1.0)),
        ("transB", Attribute::Int(1)),
    ];
    editor.raise_opset(node, 13);
    editor.become_operator(node, "Gemm", &attributes, inputs);
}

/// The bias of tokens comes first.
pub(super) fn bias_first(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    let (product, bias) = product_and_bias(editor, node)?;
    let product = Operand::Node { node: product, slot: 0 };
    (editor.input(node, 0) == product).then(|| editor.set_inputs(node, &[bias, product]))
}

/// The `MatMul` by a parameter and the vector that a node adds to its result.
fn product_and_bias(editor: &Editor, node: NodeIndex) -> Option<(NodeIndex, Operand)> {
    editor.is(node, "Add").then_some(())?;
    let [a, b] = [editor.input(node, 0), editor.input(node, 1)];
    let (product, bias) = match (editor.made_by(a, "MatMul"), editor.made_by(b, "MatMul")) {
        (Some(product), None) => (product, b),
        (None, Some(product)) => (product, a),
        _ => return None,
    };
    editor.parameter(bias)?;
    let maps = editor.made_by(editor.input(product, 1), "Transpose");
    let matrix = maps.and_then(|turn| editor.parameter(editor.input(turn, 0)));
    let alone = editor.only_reader(Operand::Node { node: product, slot: 0 }).is_some();
    (matrix.is_some() && alone && editor.shape(bias)?.len() == 1).then_some((product, bias))
}
