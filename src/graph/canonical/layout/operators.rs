//! What operators ask for where an image has its channels last, and what changes when they come first.

use super::super::{
    super::{
        Attribute, Constant, NodeIndex, Operand, Tensor,
        storage::{Permuted, permute},
    },
    edit::Editor,
    kernels::compose,
    permutation,
};

/// Operators on every element by itself, the second operand and further ones being broadcast.
const ELEMENTWISE: [&str; 43] = [
    "Abs",
    "Add",
    "Cast",
    "Ceil",
    "Celu",
    "Clip",
    "Div",
    "Dropout",
    "Elu",
    "Equal",
    "Erf",
    "Exp",
    "Floor",
    "Gelu",
    "Greater",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "LeakyRelu",
    "Less",
    "Log",
    "Max",
    "Mean",
    "Min",
    "Mish",
    "Mod",
    "Mul",
    "Neg",
    "Not",
    "PRelu",
    "Pow",
    "Reciprocal",
    "Relu",
    "Round",
    "Selu",
    "Sigmoid",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Sub",
    "Sum",
    "Tanh",
    "Where",
];

/// What changes in an input of an operator, or in its attributes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Move {
    /// The number of an axis, as an attribute with a default.
    Axis(i64),
    /// Numbers of axes: the input, or the attribute `axes` where the input is not there.
    Axes,
    /// Something for every axis, `pads` or the target of a `Reshape`: the input, or an attribute.
    Everything(&'static str),
    /// A tensor that is broadcast against the image.
    Tensor,
    /// What a `Shape` returns.
    Extents,
}

/// An operator whose images are all in one layout.
#[derive(Debug)]
pub(super) struct Kept {
    pub values: Vec<Operand>,
    pub moves: Vec<(usize, Move)>,
}

/// How a reader of a region stands to it.
#[derive(Debug)]
pub(super) enum Leaving {
    /// It is part of it.
    Joins,
    /// It returns the same in either layout once this is changed.
    Ends(Vec<(usize, Move)>),
}

/// The images that an operator reads and makes, if it computes the same in either layout.
pub(super) fn kept(editor: &Editor, index: NodeIndex, rank: usize) -> Option<Kept> {
    let node = editor.node(index);
    node.domain.is_empty().then_some(())?;
    let outputs = (0..node.outputs.len()).map(|slot| Operand::Node { node: index, slot });
    let mut values: Vec<Operand> = outputs
        .filter(|&output| !editor.readers(output).is_empty() || editor.is_returned(output))
        .collect();
    let mut moves = Vec::new();
    let mut images = 1;
    match node.op_type.as_str() {
        op_type if ELEMENTWISE.binary_search(&op_type).is_ok() => images = node.inputs.len(),
        "Concat" => {
            images = node.inputs.len();
            moves.push((0, Move::Axis(0)));
        }
        "Split" => moves.push((0, Move::Axis(0))),
        "Softmax" | "LogSoftmax" if node.opset >= 13 => moves.push((0, Move::Axis(-1))),
        "Pad" => match editor.input(index, 3) {
            Operand::Absent => {
                let pads = editor.given(index, 1, "pads")?;
                (pads.len() == 2 * rank).then_some(())?;
                moves.push((1, Move::Everything("pads")));
            }
            axes => {
                editor.ints(axes)?;
                moves.push((3, Move::Axes));
            }
        },
        "Slice" if node.opset >= 10 => {
            editor.ints(editor.input(index, 3))?;
            moves.push((3, Move::Axes));
        }
        op_type if op_type.starts_with("Reduce") => {
            (node.attributes.int("keepdims", 1).ok()? == 1).then_some(())?;
            editor.given(index, 1, "axes")?;
            moves.push((1, Move::Axes));
        }
        "Reshape" => {
            // Features that become an image of one pixel.
            let target = editor.given(index, 1, "shape")?;
            let extents = editor.shape(Operand::Node { node: index, slot: 0 })?;
            let pixel = extents.len() == rank && extents[1..rank - 1].iter().all(|&it| it == 1);
            (pixel && editor.shape(editor.input(index, 0))?.len() == 2).then_some(())?;
            (target.len() == rank && !target[1..].contains(&0)).then_some(())?;
            images = 0;
            moves.push((1, Move::Everything("shape")));
        }
        _ => return None,
    }
    for (slot, &operand) in node.inputs.iter().enumerate().take(images) {
        match operand {
            Operand::Absent => {}
            _ if is_fixed(editor, operand) => {
                let shape = editor.shape(operand)?;
                let long = shape.iter().filter(|&&extent| extent != 1).count();
                let owned = editor.parameter(operand).is_none()
                    || long < 2
                    || editor.only_reader(operand).is_some();
                (shape.len() <= rank && owned).then_some(())?;
                if long > 0 {
                    moves.push((slot, Move::Tensor));
                }
            }
            _ => values.push(operand),
        }
    }
    Some(Kept { values, moves })
}

/// How a node stands to a region of whose values it reads one.
pub(super) fn leaving(
    editor: &Editor,
    index: NodeIndex,
    value: Operand,
    rank: usize,
) -> Option<Leaving> {
    let node = editor.node(index);
    (node.domain.is_empty() && editor.input(index, 0) == value
        || kept(editor, index, rank).is_some())
    .then_some(())?;
    let pixel = || editor.shape(value).is_some_and(|it| it[1..rank - 1].iter().all(|&it| it == 1));
    let whole = |axes: &[i64]| {
        let axes: Option<Vec<usize>> =
            axes.iter().map(|&axis| permutation::axis(axis, rank)).collect();
        axes.is_some_and(|axes| (1..rank - 1).all(|axis| axes.contains(&axis)))
    };
    Some(match node.op_type.as_str() {
        "Shape" => Leaving::Ends(vec![(0, Move::Extents)]),
        op_type if op_type.starts_with("Reduce") => {
            match node.attributes.int("keepdims", 1).ok()? {
                0 => {
                    whole(&editor.given(index, 1, "axes")?).then_some(())?;
                    Leaving::Ends(vec![(1, Move::Axes)])
                }
                _ => Leaving::Joins,
            }
        }
        "Flatten" => {
            (pixel() && node.attributes.int("axis", 1).ok()? == 1).then_some(())?;
            Leaving::Ends(Vec::new())
        }
        "Reshape" => {
            let target = editor.given(index, 1, "shape")?;
            (pixel() && !target.iter().skip(1).any(|&it| it == 0)).then_some(())?;
            Leaving::Ends(Vec::new())
        }
        "Squeeze" => match editor.given(index, 1, "axes") {
            Some(axes) if pixel() && whole(&axes) => Leaving::Ends(vec![(1, Move::Axes)]),
            _ => return None,
        },
        _ => Leaving::Joins,
    })
}

/// A tensor that is the same for all images.
fn is_fixed(editor: &Editor, operand: Operand) -> bool {
    editor.parameter(operand).is_some() || editor.value(operand).is_some()
}

impl Move {
    pub fn apply(self, editor: &mut Editor, node: NodeIndex, slot: usize, rank: usize) {
        let first = permutation::channels_first(rank);
        // Channels first, the axis that has another number with channels last.
        let last = permutation::channels_last(rank);
        let axis = |axis: &i64| permutation::axis(*axis, rank).map_or(*axis, |it| last[it] as i64);
        match self {
            Self::Axis(default) => {
                let own = editor.node(node).attributes.int("axis", default).unwrap_or(default);
                editor.set_attribute(node, "axis", Attribute::Int(axis(&own)));
            }
            Self::Axes => {
                let axes = editor.given(node, slot, "axes").unwrap_or_default();
                give(editor, node, slot, "axes", axes.iter().map(axis).collect());
            }
            Self::Everything(name) => {
                let all = editor.given(node, slot, name).unwrap_or_default();
                let moved = all.chunks(rank).flat_map(|each| permutation::take(&first, each));
                give(editor, node, slot, name, moved.collect());
            }
            Self::Tensor => {
                if let Some(moved) = tensor(editor, node, slot, &first) {
                    editor.set_input(node, slot, moved);
                }
            }
            Self::Extents => {
                let attributes = &editor.node(node).attributes;
                let bound = |name, default: usize| {
                    let place = attributes.int(name, default as i64).unwrap_or(default as i64);
                    permutation::axis(place, rank).unwrap_or(default)
                };
                let (start, end) = (bound("start", 0), bound("end", rank));
                let wanted: Vec<i64> =
                    (start..end.max(start)).map(|axis| last[axis] as i64).collect();
                editor.remove_attribute(node, "start");
                editor.remove_attribute(node, "end");
                let extents = Operand::Node { node, slot: 0 };
                let readers = editor.readers(extents).to_vec();
                let count = wanted.len();
                let places = editor.int_list(wanted);
                let along = [("axis", Attribute::Int(0))];
                let moved =
                    editor.insert(node, "Gather", &along, &[extents, places], Some(vec![count]));
                for (reader, slot) in readers {
                    editor.set_input(reader, slot, moved);
                }
                if editor.is_returned(extents) {
                    editor.return_instead(extents, moved);
                }
            }
        }
    }
}

fn give(editor: &mut Editor, node: NodeIndex, slot: usize, name: &str, ints: Vec<i64>) {
    match editor.input(node, slot) {
        Operand::Absent => editor.set_attribute(node, name, Attribute::Ints(ints)),
        _ => {
            let ints = editor.int_list(ints);
            editor.set_input(node, slot, ints);
        }
    }
}

/// A tensor that is broadcast, with its axes in another order.
fn tensor(editor: &mut Editor, node: NodeIndex, slot: usize, order: &[usize]) -> Option<Operand> {
    let operand = editor.input(node, slot);
    let own = editor.shape(operand)?;
    let mut extents = vec![1; order.len().checked_sub(own.len())?];
    extents.extend(own);
    let shape = permutation::take(order, &extents);
    if let Some(value) = editor.value(operand).cloned() {
        return Some(editor.constant(match value {
            Constant::Float(Tensor { data, .. }) => {
                Constant::Float(Tensor { shape, data: permute(&data, &extents, order) })
            }
            Constant::Int { data, .. } => {
                Constant::Int { shape, data: permute(&data, &extents, order) }
            }
        }));
    }
    let parameter = editor.parameter(operand)?;
    if extents.iter().filter(|&&extent| extent != 1).count() > 1 {
        let order = order.to_vec();
        return compose(editor, parameter, shape, Permuted { extents, order });
    }
    let target = editor.extents(&shape);
    Some(editor.insert(node, "Reshape", &[], &[operand, target], Some(shape)))
}

#[cfg(test)]
mod tests {
    use super::ELEMENTWISE;

    #[test]
    fn operators_are_sorted_for_the_search() {
        assert!(ELEMENTWISE.is_sorted());
    }
}
