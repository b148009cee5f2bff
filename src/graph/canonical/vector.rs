//! Parameters of one value per channel. PyTorch has them as `[C]` and reshapes them where they meet an image;
//! exporters that fold constants store `[C, 1, 1]` or `[1, C, 1, 1]`.

use super::{
    super::{Form, NodeIndex, Operand, Parameter, ParameterId, storage::Copies},
    edit::Editor,
};

/// A parameter of one value per channel, whatever unit axes stand around them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vector {
    parameter: ParameterId,
    channels: usize,
}

impl Vector {
    /// The vector that an operand is which broadcasts along one axis of values of a shape.
    pub fn along(editor: &Editor, operand: Operand, shape: &[usize], axis: usize) -> Option<Self> {
        let view = editor.shape(operand)?;
        let behind = shape.len() - axis;
        let place = view.len().checked_sub(behind)?;
        let fits = view.iter().enumerate().all(|(index, &extent)| match index == place {
            true => extent == shape[axis],
            false => extent == 1,
        });
        let parameter = parameter(editor, operand).filter(|_| fits && view.len() <= shape.len())?;
        let channels = shape[axis];
        (editor.architecture.parameters[parameter.0].len() == Some(channels))
            .then_some(Self { parameter, channels })
    }

    /// The operand `[C]`, for a node that takes the place of all that reads it. A tensor that others read
    /// as well, or that a function of the file reads, stays as it is.
    pub fn for_node(self, editor: &mut Editor, node: NodeIndex) -> Operand {
        let Self { parameter: id, channels } = self;
        let stored = &editor.architecture.parameters[id.0];
        if stored.shape.as_deref() == Some(&[channels]) || !read_for(editor, id, node) {
            return Operand::Parameter(id);
        }
        let flat = Parameter { shape: Some(vec![channels]), ..stored.clone() };
        let map = Copies { extents: [channels, 1], transposed: vec![false] };
        editor.compose_one(id, flat, map, Form::Parameters)
    }
}

/// The parameter that an operand is, perhaps under another shape.
pub(super) fn parameter(editor: &Editor, operand: Operand) -> Option<ParameterId> {
    let mut operand = operand;
    loop {
        operand = match operand {
            Operand::Parameter(id) => return Some(id),
            _ => ["Reshape", "Unsqueeze", "Squeeze", "Flatten"]
                .into_iter()
                .find_map(|op_type| editor.made_by(operand, op_type))
                .map(|node| editor.input(node, 0))?,
        }
    }
}

/// Whether nothing reads a parameter but a node and what only that node reads.
fn read_for(editor: &Editor, id: ParameterId, node: NodeIndex) -> bool {
    let mut operand = Operand::Parameter(id);
    while let Some((reader, _)) = editor.only_reader(operand) {
        if reader == node {
            return true;
        }
        operand = Operand::Node { node: reader, slot: 0 };
    }
    false
}
