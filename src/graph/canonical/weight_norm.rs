//! Weight normalisation (Salimans and Kingma 2016): a weight is stored as direction v and length g of its
//! rows, w = g · v / ‖v‖. The weight is predicted; v is the weight and g its lengths then.

use std::sync::Arc;

use super::{
    super::{Form, NodeIndex, Operand, ParameterId, Storage, StorageMap},
    edit::Editor,
};

pub(super) fn solve(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    let (direction, length) = parts(editor, node)?;
    let [v, g] = [direction, length].map(|id| editor.architecture.parameters[id.0].clone());
    let (shape, lengths) = (v.shape.clone()?, g.shape.clone()?);
    // Lengths along one axis; it is the first for all but transposed convolutions.
    let axis = lengths.iter().position(|&extent| extent > 1).unwrap_or(0);
    let fits = lengths.len() == shape.len()
        && lengths
            .iter()
            .enumerate()
            .all(|(it, &extent)| extent == if it == axis { shape[it] } else { 1 });
    (fits && v.dtype == g.dtype).then_some(())?;
    let inner = shape[axis + 1..].iter().product();
    let map = WeightNorm { rows: shape[axis], inner };
    let storage = |parameters, tensors| Storage {
        parameters,
        tensors,
        map: Arc::new(map),
        in_state_dict: Form::Tensors,
    };
    let weight = editor.compose(&[direction, length], Vec::new(), vec![v], storage)[0];
    editor.replace(Operand::Node { node, slot: 0 }, weight);
    Some(())
}

/// v and g of a node that computes v · (g / ‖v‖) or (v / ‖v‖) · g.
fn parts(editor: &Editor, node: NodeIndex) -> Option<(ParameterId, ParameterId)> {
    editor.is(node, "Mul").then_some(())?;
    let inputs = [editor.input(node, 0), editor.input(node, 1)];
    [inputs, [inputs[1], inputs[0]]].into_iter().find_map(|[parameter, quotient]| {
        let parameter = editor.parameter(parameter)?;
        let quotient = editor.made_by(quotient, "Div")?;
        let dividend = editor.parameter(editor.input(quotient, 0))?;
        let measured = measured(editor, editor.input(quotient, 1))?;
        match measured {
            _ if measured == parameter => Some((parameter, dividend)),
            _ if measured == dividend => Some((dividend, parameter)),
            _ => None,
        }
    })
}

/// The parameter of whose rows an operand holds the lengths.
fn measured(editor: &Editor, operand: Operand) -> Option<ParameterId> {
    if let Some(norm) = editor.made_by(operand, "ReduceL2") {
        return editor.parameter(editor.input(norm, 0));
    }
    let root = editor.made_by(operand, "Sqrt")?;
    let sum = editor.made_by(editor.input(root, 0), "ReduceSum")?;
    let squares = editor.input(sum, 0);
    if let Some(square) = editor.made_by(squares, "Mul") {
        let same = editor.input(square, 0) == editor.input(square, 1);
        return editor.parameter(editor.input(square, 0)).filter(|_| same);
    }
    let square = editor.made_by(squares, "Pow")?;
    let two = editor.number(editor.input(square, 1)) == Some(2.0);
    editor.parameter(editor.input(square, 0)).filter(|_| two)
}

/// A weight as v and g; `rows` lie `inner` values apart.
#[derive(Clone, Copy, Debug)]
struct WeightNorm {
    rows: usize,
    inner: usize,
}

impl WeightNorm {
    fn row(self, place: usize) -> usize {
        place / self.inner % self.rows
    }

    fn lengths(self, values: &[f32]) -> Vec<f32> {
        let mut squares = vec![0.0f64; self.rows];
        for (place, &value) in values.iter().enumerate() {
            squares[self.row(place)] += f64::from(value) * f64::from(value);
        }
        squares.into_iter().map(|square| square.sqrt() as f32).collect()
    }
}

impl StorageMap for WeightNorm {
    fn parameters(&self, tensors: &[&[f32]]) -> Vec<Vec<f32>> {
        let [v, g] = [tensors[0], tensors[1]];
        let lengths = self.lengths(v);
        let weight = |(place, value): (usize, &f32)| {
            let row = self.row(place);
            g[row] * value / lengths[row].max(f32::MIN_POSITIVE)
        };
        vec![v.iter().enumerate().map(weight).collect()]
    }

    fn tensor(&self, place: usize, parameters: &[&[f32]]) -> Vec<f32> {
        match place {
            0 => parameters[0].to_vec(),
            _ => self.lengths(parameters[0]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn a_weight_comes_back_from_its_parts() {
        let weight: Vec<f32> = (0..12).map(|value| value as f32 - 4.5).collect();
        // Rows of a convolution, and of a transposed one, whose outputs are the second axis.
        for map in [WeightNorm { rows: 3, inner: 4 }, WeightNorm { rows: 2, inner: 2 }] {
            let parts = [0, 1].map(|place| map.tensor(place, &[&weight]));
            assert_eq!(parts[1].len(), map.rows);
            let again = map.parameters(&[&parts[0], &parts[1]]);
            assert_relative_eq!(again[0][..], weight[..], epsilon = 1e-5);
        }
    }
}
