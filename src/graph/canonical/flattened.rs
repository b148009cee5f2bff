//! Images flattened with their channels last: the linear map behind them has its columns in that order.

use super::{
    super::{NodeIndex, storage::Permuted},
    edit::Editor,
    kernels::compose,
    permutation,
};

/// Lets a linear map read a flattened image with its channels first, its columns sorted accordingly.
pub(super) fn reorder(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    let out_in = match () {
        () if editor.is(node, "MatMul") => false,
        () if editor.is(node, "Gemm") => {
            let attributes = &editor.node(node).attributes;
            (attributes.int("transA", 0).ok()? == 0).then_some(())?;
            attributes.int("transB", 0).ok()? != 0
        }
        () => return None,
    };
    let flat = editor.input(node, 0);
    let flatten = editor.made_by(flat, "Flatten").or_else(|| editor.made_by(flat, "Reshape"))?;
    editor.only_reader(flat)?;
    let last = editor.made_by(editor.input(flatten, 0), "Transpose")?;
    let image = editor.input(last, 0);
    let &[batch, ref extents @ ..] = editor.shape(image)? else { return None };
    let rank = extents.len() + 1;
    if rank < 3 || editor.order_of_axes(last)? != permutation::channels_last(rank) {
        return None;
    }
    let features: usize = extents.iter().product();
    if editor.shape(flat)? != [batch, features] {
        return None;
    }
    let parameter = editor.parameter(editor.input(node, 1))?;
    let shape = editor.architecture.parameters[parameter.0].shape.clone()?;
    let &[rows, columns] = shape.as_slice() else { return None };
    if (if out_in { columns } else { rows }) != features {
        return None;
    }
    // The stored matrix with an axis for each of height, width and channels.
    let stored = permutation::take(&permutation::channels_last(rank), editor.shape(image)?);
    let first = permutation::channels_first(rank);
    let map = if out_in {
        Permuted { extents: [&[rows], &stored[1..]].concat(), order: first }
    } else {
        let order = first[1..].iter().map(|axis| axis - 1).chain([rank - 1]).collect();
        Permuted { extents: [&stored[1..], &[columns]].concat(), order }
    };
    let composed = compose(editor, parameter, shape, map)?;
    editor.set_input(node, 1, composed);
    editor.set_input(flatten, 0, image);
    Some(())
}
