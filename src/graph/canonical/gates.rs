//! The tensors of an LSTM: those that PyTorch's module has, and the stacks of them that ONNX's operator reads.

use std::sync::Arc;

use super::{
    super::{Form, NodeIndex, Operand, Parameter, ParameterId, Storage, StorageMap},
    edit::Editor,
    permutation, unbind,
};

/// For each gate of an LSTM in PyTorch's order (input, forget, cell, output), its place in ONNX's.
pub const GATE_PLACES: [usize; 4] = [0, 2, 3, 1];
/// Longest chain of nodes between an LSTM and a tensor.
const LONGEST: usize = 16;
/// Most rows of a stack that is taken apart.
const MOST_ROWS: usize = 1 << 20;

/// An input of an LSTM: tensors of the module, one behind another, each with its gates in ONNX's order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stack {
    /// How many tensors.
    pub count: usize,
    /// Rows of each of them, a quarter for each gate.
    pub rows: usize,
    /// Values of a row; `None` where the tensors are vectors.
    pub width: Option<usize>,
}

/// Where the tensors of the module are.
pub(super) enum Tensors {
    /// They are parameters.
    OfModule(Vec<Operand>),
    /// The file has the stack instead.
    Stacked(ParameterId),
}

impl Stack {
    fn width(self) -> usize {
        self.width.unwrap_or(1)
    }

    /// Where a row of the tensors, counted through all of them, stands in the stack.
    fn place(self, row: usize) -> usize {
        let gate = self.rows / GATE_PLACES.len();
        let (tensor, row) = (row / self.rows, row % self.rows);
        tensor * self.rows + GATE_PLACES[row / gate] * gate + row % gate
    }

    /// The tensors in an input of an LSTM.
    pub fn tensors(self, editor: &Editor, operand: Operand) -> Option<Tensors> {
        let count = rows(editor, operand, self.width())?;
        let wanted = self.count.checked_mul(self.rows)?;
        (count == wanted && (1..=MOST_ROWS).contains(&count)).then_some(())?;
        if let Some(id) = editor.parameter(operand) {
            let whole = editor.is_plain(id) && editor.only_reader(operand).is_some();
            return whole.then_some(Tensors::Stacked(id));
        }
        let tensor = |index: usize| {
            let mut origins = (0..self.rows).map(|row| {
                origin(editor, operand, self.width(), self.place(index * self.rows + row))
            });
            let (id, first) = origins.next()??;
            let in_order = origins.zip(1..).all(|(origin, row)| origin == Some((id, row)));
            let whole = editor.shape(Operand::Parameter(id))? == self.shape();
            (first == 0 && in_order && whole).then_some(Operand::Parameter(id))
        };
        (0..self.count).map(tensor).collect::<Option<_>>().map(Tensors::OfModule)
    }

    /// The shape of a tensor of the module.
    fn shape(self) -> Vec<usize> {
        [self.rows].into_iter().chain(self.width).collect()
    }

    /// The tensors of the module, for a stack in the file; `name` says what the module calls them.
    pub fn take_apart(
        self,
        editor: &mut Editor,
        node: NodeIndex,
        id: ParameterId,
        name: impl Fn(usize) -> String,
    ) -> Vec<Operand> {
        let stack = editor.architecture.parameters[id.0].clone();
        let module = editor.node(node).module.clone();
        let owner = module.as_ref().unwrap_or(&stack.name);
        let tensor = |index: usize| Parameter {
            name: editor.free_name(&format!("{owner}.{}", name(index))),
            shape: Some(self.shape()),
            module: module.clone(),
            ..stack.clone()
        };
        let tensors = (0..self.count).map(tensor).collect();
        editor.compose(&[id], Vec::new(), tensors, |parameters, tensors| Storage {
            parameters,
            tensors,
            map: Arc::new(self),
            in_state_dict: Form::Parameters,
        })
    }
}

impl StorageMap for Stack {
    fn parameters(&self, tensors: &[&[f32]]) -> Vec<Vec<f32>> {
        let row = |row: usize| &tensors[0][self.place(row) * self.width()..][..self.width()];
        let tensor = |index: usize| (0..self.rows).map(move |it| row(index * self.rows + it));
        (0..self.count).map(|index| tensor(index).flatten().copied().collect()).collect()
    }

    fn tensor(&self, _: usize, parameters: &[&[f32]]) -> Vec<f32> {
        let width = self.width();
        let mut stack = vec![0.0; self.count * self.rows * width];
        let rows = parameters.iter().flat_map(|tensor| tensor.chunks(width));
        for (row, values) in rows.enumerate() {
            stack[self.place(row) * width..][..width].copy_from_slice(values);
        }
        stack
    }
}

/// How many rows of some values there are in a value.
fn rows(editor: &Editor, operand: Operand, width: usize) -> Option<usize> {
    let shape = editor.shape(operand)?.iter();
    let count = shape.copied().try_fold(1, usize::checked_mul)?;
    (width > 0 && count.is_multiple_of(width)).then_some(count / width)
}

/// The parameter that a row of a value comes from, and its row there.
fn origin(
    editor: &Editor,
    mut operand: Operand,
    width: usize,
    mut row: usize,
) -> Option<(ParameterId, usize)> {
    for _ in 0..LONGEST {
        let (node, slot) = match operand {
            Operand::Parameter(id) => return Some((id, row)),
            Operand::Node { node, slot } if editor.node(node).domain.is_empty() => (node, slot),
            _ => return None,
        };
        let own = editor.node(node);
        let first = editor.input(node, 0);
        let axis = |default| {
            let rank = editor.shape(first)?.len();
            permutation::axis(own.attributes.int("axis", default).ok()?, rank)
        };
        operand = match own.op_type.as_str() {
            "Identity" | "Reshape" | "Squeeze" | "Unsqueeze" => first,
            "Slice" => {
                let (axis, start, _) = unbind::part(editor, node)?;
                row += start * step(editor, first, axis, width)?;
                first
            }
            "Split" => {
                step(editor, first, axis(0)?, width)?;
                for slot in 0..slot {
                    row += rows(editor, Operand::Node { node, slot }, width)?;
                }
                first
            }
            "Concat" => {
                let axis = axis(0)?;
                let mut found = None;
                for &part in &own.inputs {
                    step(editor, part, axis, width)?;
                    let count = rows(editor, part, width)?;
                    if row < count {
                        found = Some(part);
                        break;
                    }
                    row -= count;
                }
                found?
            }
            _ => return None,
        };
    }
    None
}

/// How many rows a step along an axis is, where what stands along it lies one behind another.
fn step(editor: &Editor, operand: Operand, axis: usize, width: usize) -> Option<usize> {
    let (outer, inner) = editor.shape(operand)?.split_at_checked(axis)?;
    let inner = inner.get(1..)?.iter().copied().try_fold(1, usize::checked_mul)?;
    let leads = outer.iter().all(|&extent| extent == 1);
    (leads && inner.is_multiple_of(width)).then_some(inner / width)
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn gates_of_both_directions_are_found_in_a_stack() {
        let map = Stack { count: 2, rows: 8, width: Some(1) };
        // Input, output, forget and cell gate of two units each, for both directions.
        let stack: Vec<f32> = (0..16).map(|value| value as f32).collect();
        let tensors = map.parameters(&[&stack]);
        assert_relative_eq!(tensors[0][..], [0.0, 1.0, 4.0, 5.0, 6.0, 7.0, 2.0, 3.0]);
        assert_relative_eq!(tensors[1][..], [8.0, 9.0, 12.0, 13.0, 14.0, 15.0, 10.0, 11.0]);
        let again = map.tensor(0, &[&tensors[0], &tensors[1]]);
        assert_relative_eq!(again[..], stack[..]);
        let wide = Stack { count: 1, rows: 4, width: Some(4) };
        let matrix = wide.parameters(&[&stack]).swap_remove(0);
        assert_relative_eq!(matrix[4..8], stack[8..12]);
        assert_relative_eq!(wide.tensor(0, &[&matrix])[..], stack[..]);
    }
}
