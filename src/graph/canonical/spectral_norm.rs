//! Spectral normalisation (Miyato et al. 2018): a weight is stored as a matrix W with estimates u and v of
//! its first singular vectors, w = W / (uᵀ W v). The weight is predicted; W is the weight, u its first left
//! singular vector by power iteration, and v the right one divided by the singular value, so that
//! uᵀ W v = 1 and the network computes with what was predicted. Training brings u and v to length one.

use std::sync::Arc;

use super::{
    super::{Form, NodeIndex, Operand, Parameter, Storage, StorageMap},
    edit::Editor,
};

/// Steps of the power iteration.
const ITERATIONS: usize = 50;

pub(super) fn solve(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    editor.is(node, "Div").then_some(())?;
    let weight = editor.input(node, 0);
    let product = editor.made_by(editor.input(node, 1), "MatMul")?;
    let u = editor.input(product, 0);
    let image = editor.made_by(editor.input(product, 1), "MatMul")?;
    let v = editor.input(image, 1);
    // The matrix is the weight with all but its first axis in one, computed or stored once more.
    let matrix = editor.input(image, 0);
    let copy = match editor.made_by(matrix, "Reshape") {
        Some(reshape) if editor.input(reshape, 0) == weight => None,
        Some(_) => return None,
        None => Some(matrix),
    };
    let own = editor.tensor(Operand::Parameter(editor.parameter(weight)?))?;
    let extents = own.shape.clone()?;
    let rows = *extents.first()?;
    let columns: usize = extents[1..].iter().product();
    let fits = editor.shape(u)? == [rows]
        && editor.shape(v)? == [columns]
        && editor.shape(matrix)? == [rows, columns]
        && copy != Some(weight);
    fits.then_some(())?;
    // Estimates are buffers, which are constants where the exporter says so.
    let parts = [(weight, Part::Matrix), (u, Part::Left), (v, Part::Right)];
    let parts: Vec<(Operand, Part)> =
        parts.into_iter().chain(copy.map(|copy| (copy, Part::Matrix))).collect();
    let (mut from, mut further, mut order) = (Vec::new(), Vec::new(), Vec::new());
    for (operand, part) in &parts {
        if let Some(id) = editor.parameter(*operand) {
            from.push(id);
            order.push(*part);
        }
    }
    for (operand, part) in parts {
        if editor.parameter(operand).is_none() {
            further.push(Parameter { dtype: own.dtype, ..editor.tensor(operand)? });
            order.push(part);
        }
    }
    let map = SpectralNorm { rows, columns, parts: order };
    let storage = |parameters, tensors| Storage {
        parameters,
        tensors,
        map: Arc::new(map),
        in_state_dict: Form::Tensors,
    };
    let weight = editor.compose(&from, further, vec![own], storage)[0];
    editor.replace(Operand::Node { node, slot: 0 }, weight);
    Some(())
}

/// What a tensor of the file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Matrix,
    Left,
    Right,
}

/// A weight as W, u, v and perhaps W once more.
#[derive(Clone, Debug)]
struct SpectralNorm {
    rows: usize,
    columns: usize,
    /// In the order of the tensors.
    parts: Vec<Part>,
}

impl SpectralNorm {
    /// W v
    fn image(&self, weight: &[f32], v: &[f64]) -> Vec<f64> {
        let row = |row: &[f32]| row.iter().zip(v).map(|(&a, b)| f64::from(a) * b).sum();
        weight.chunks(self.columns.max(1)).map(row).collect()
    }

    /// First singular vectors and their value.
    fn singular(&self, weight: &[f32]) -> (Vec<f64>, Vec<f64>, f64) {
        let mut v = vec![1.0; self.columns];
        // A start that no structure of the rows is orthogonal to.
        v.iter_mut().enumerate().for_each(|(at, value)| *value += 0.1 * (1.7 * at as f64).sin());
        let mut u = vec![0.0; self.rows];
        normalise(&mut v);
        for _ in 0..ITERATIONS {
            u = self.image(weight, &v);
            normalise(&mut u);
            v.fill(0.0);
            for (row, u) in weight.chunks(self.columns.max(1)).zip(&u) {
                row.iter().zip(&mut v).for_each(|(&a, v)| *v += f64::from(a) * u);
            }
            normalise(&mut v);
        }
        let value = self.image(weight, &v).iter().zip(&u).map(|(a, b)| a * b).sum();
        (u, v, value)
    }
}

fn normalise(vector: &mut [f64]) {
    let length = vector.iter().map(|value| value * value).sum::<f64>().sqrt();
    vector.iter_mut().for_each(|value| *value /= length.max(f64::MIN_POSITIVE));
}

impl StorageMap for SpectralNorm {
    fn parameters(&self, tensors: &[&[f32]]) -> Vec<Vec<f32>> {
        let of = |part: Part| {
            let place = self.parts.iter().position(|own| *own == part);
            place.and_then(|place| tensors.get(place)).copied().unwrap_or_default()
        };
        let [weight, u, v] = [Part::Matrix, Part::Left, Part::Right].map(of);
        let v: Vec<f64> = v.iter().map(|&value| f64::from(value)).collect();
        let image = self.image(weight, &v);
        let sigma: f64 = image.iter().zip(u).map(|(a, &b)| a * f64::from(b)).sum();
        vec![weight.iter().map(|&value| (f64::from(value) / sigma) as f32).collect()]
    }

    fn tensor(&self, place: usize, parameters: &[&[f32]]) -> Vec<f32> {
        let single = |vector: Vec<f64>| vector.into_iter().map(|value| value as f32).collect();
        match self.parts[place] {
            Part::Left => single(self.singular(parameters[0]).0),
            Part::Right => {
                let (_, mut v, value) = self.singular(parameters[0]);
                v.iter_mut().for_each(|entry| *entry /= value.max(f64::MIN_POSITIVE));
                single(v)
            }
            Part::Matrix => parameters[0].to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn a_weight_comes_back_from_its_parts() {
        let weight: Vec<f32> = (0..12).map(|value| (value as f32 * 1.3).sin()).collect();
        let parts = vec![Part::Matrix, Part::Left, Part::Right];
        let map = SpectralNorm { rows: 3, columns: 4, parts };
        let parts = [0, 1, 2].map(|place| map.tensor(place, &[&weight]));
        let length: f32 = parts[1].iter().map(|value| value * value).sum();
        assert_relative_eq!(length, 1.0, epsilon = 1e-5);
        let again = map.parameters(&[&parts[0], &parts[1], &parts[2]]);
        assert_relative_eq!(again[0][..], weight[..], epsilon = 1e-4);
    }
}
