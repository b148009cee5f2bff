//! What is overwritten. Parameters of which a network overwrites a part with constants before it uses them, such as
//! `bias[width : 2 * width].zero_()`: Swin's second version has no bias for keys. What the network uses is
//! predicted, and the file holds just that: overwriting the constants once more changes nothing.

use super::{
    super::{Form, NodeIndex, Operand, StorageMap},
    edit::Editor,
};

pub(super) fn solve(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    replaces(editor, node).then_some(())?;
    let whole = editor.input(node, 0);
    let id = editor.parameter(whole)?;
    editor.only_reader(whole)?;
    let parameter = editor.architecture.parameters[id.0].clone();
    let indices = editor.value(editor.input(node, 1)).filter(|_| editor.is_plain(id))?;
    let places = places(indices.ints()?, *indices.shape().last()?, parameter.shape.as_deref()?)?;
    let constants = editor.value(editor.input(node, 2))?.floats()?.to_vec();
    (places.len() == constants.len()).then_some(())?;
    let map = Overwritten { places, constants };
    let overwritten = editor.compose_one(id, parameter, map, Form::Tensors);
    editor.replace(Operand::Node { node, slot: 0 }, overwritten);
    Some(())
}

/// A value all of which is overwritten, in order, is what overwrites it: `scores[:, :, 0:] = …`.
pub(super) fn replaced(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    let whole = editor.input(node, 0);
    (replaces(editor, node) && editor.value(whole).is_none()).then_some(())?;
    let shape = editor.shape(whole)?;
    let indices = editor.value(editor.input(node, 1))?;
    let places = places(indices.ints()?, *indices.shape().last()?, shape)?;
    let all = shape.iter().product::<usize>();
    let values = editor.input(node, 2);
    let same = editor.shape(values)? == shape;
    (same && places.into_iter().eq(0..all)).then_some(())?;
    editor.replace(Operand::Node { node, slot: 0 }, values);
    Some(())
}

fn replaces(editor: &Editor, node: NodeIndex) -> bool {
    let reduction = editor.node(node).attributes.string("reduction", "none");
    editor.is(node, "ScatterND") && reduction == Ok("none")
}

/// Places of the blocks that tuples of `fixed` indices, which count from the end if they are negative, point
/// to in a tensor.
fn places(indices: &[i64], fixed: usize, extents: &[usize]) -> Option<Vec<usize>> {
    let (outer, inner) = extents.split_at_checked(fixed).filter(|_| fixed > 0)?;
    let block: usize = inner.iter().product();
    let mut places = Vec::new();
    for tuple in indices.chunks_exact(fixed) {
        let mut row = 0;
        for (&index, &extent) in tuple.iter().zip(outer) {
            let index = if index < 0 { index + extent as i64 } else { index };
            let index = usize::try_from(index).ok().filter(|&index| index < extent)?;
            row = row * extent + index;
        }
        places.extend(row * block..(row + 1) * block);
    }
    Some(places)
}

/// A tensor with constants in some places, the last one counting where a place is named twice.
#[derive(Debug)]
struct Overwritten {
    places: Vec<usize>,
    constants: Vec<f32>,
}

impl StorageMap for Overwritten {
    fn parameters(&self, tensors: &[&[f32]]) -> Vec<Vec<f32>> {
        let mut values = tensors[0].to_vec();
        for (&place, &constant) in self.places.iter().zip(&self.constants) {
            values[place] = constant;
        }
        vec![values]
    }

    fn tensor(&self, _: usize, parameters: &[&[f32]]) -> Vec<f32> {
        self.parameters(parameters).swap_remove(0)
    }

    fn makes_all(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn a_part_of_a_vector_or_matrix_is_constant() {
        assert_eq!(places(&[1, -1], 1, &[4]), Some(vec![1, 3]));
        assert_eq!(places(&[1], 1, &[2, 3]), Some(vec![3, 4, 5]));
        assert_eq!(places(&[0, 2, 1, -3], 2, &[2, 3]), Some(vec![2, 3]));
        assert_eq!(places(&[4], 1, &[4]), None);
        assert_eq!(places(&[0], 2, &[4]), None);
        let map = Overwritten { places: vec![1, 3], constants: vec![0.0, 7.0] };
        let stored = map.tensor(0, &[&[1.0, 2.0, 3.0, 4.0]]);
        assert_relative_eq!(stored[..], [1.0, 0.0, 3.0, 7.0]);
        assert_relative_eq!(map.parameters(&[&stored])[0][..], stored[..]);
    }
}
