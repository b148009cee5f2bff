//! Long short-term memory as PyTorch has it: a node for each direction, which reads the tensors of the module.
//! ONNX's operator has both directions in one node, their tensors stacked, gates in another order, and two
//! biases in one row. Exporters slice and join the tensors of the module in the graph to make these, or fold
//! that into tensors of the file.

use std::collections::BTreeSet;

use super::{
    super::{Attribute, NodeIndex, Operand},
    edit::Editor,
    gates::{Stack, Tensors},
};

/// Longest chain of nodes that make a state.
const LONGEST: usize = 16;

/// What an LSTM of known shapes is like.
struct Recurrence {
    /// For each direction, whether it reads the sequence from the end.
    reversed: &'static [bool],
    batch_first: bool,
    steps: usize,
    batch: usize,
    features: usize,
    hidden: usize,
}

impl Recurrence {
    fn of(editor: &Editor, node: NodeIndex) -> Option<Self> {
        let attributes = &editor.node(node).attributes;
        let known = ["direction", "hidden_size", "layout"];
        let plain = attributes.0.keys().all(|name| known.contains(&name.as_str()));
        let [lengths, peepholes] = [4, 7].map(|slot| editor.input(node, slot));
        let outputs = editor.node(node).outputs.len() <= 3;
        let usual = plain && outputs && lengths == Operand::Absent && peepholes == Operand::Absent;
        usual.then_some(())?;
        let reversed: &[bool] = match attributes.string("direction", "forward").ok()? {
            "forward" => &[false],
            "reverse" => &[true],
            "bidirectional" => &[false, true],
            _ => return None,
        };
        let batch_first = match attributes.int("layout", 0).ok()? {
            0 => false,
            1 => true,
            _ => return None,
        };
        let &[first, second, features] = editor.shape(editor.input(node, 0))? else { return None };
        let (steps, batch) = if batch_first { (second, first) } else { (first, second) };
        let &[_, _, hidden] = editor.shape(editor.input(node, 2))? else { return None };
        Some(Self { reversed, batch_first, steps, batch, features, hidden })
    }

    /// The axis of directions in an output, and its extents for some directions.
    fn output(&self, slot: usize, directions: usize) -> (usize, Vec<usize>) {
        let axis = usize::from(self.batch_first) + usize::from(slot == 0);
        let mut shape = match (slot, self.batch_first) {
            (0, false) => vec![self.steps, self.batch, self.hidden],
            (0, true) => vec![self.batch, self.steps, self.hidden],
            _ => vec![self.batch, self.hidden],
        };
        shape.insert(axis, directions);
        (axis, shape)
    }
}

/// One node for each direction.
pub(super) fn by_direction(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    editor.is(node, "LSTM").then_some(())?;
    let form = Recurrence::of(editor, node)?;
    let tensors = tensors(editor, node, &form)?.into_iter().enumerate();
    let nodes: Vec<NodeIndex> = tensors
        .filter_map(|(direction, tensors)| insert(editor, node, &form, direction, tensors))
        .collect();
    for slot in 0..editor.node(node).outputs.len() {
        let output = Operand::Node { node, slot };
        if editor.readers(output).is_empty() && !editor.is_returned(output) {
            continue;
        }
        let parts: Vec<Operand> = nodes.iter().map(|&node| Operand::Node { node, slot }).collect();
        let joined = match parts[..] {
            [only] => only,
            _ => {
                let (axis, shape) = form.output(slot, parts.len());
                let axis = [("axis", Attribute::Int(axis as i64))];
                editor.insert(node, "Concat", &axis, &parts, Some(shape))
            }
        };
        editor.replace(output, joined);
    }
    Some(())
}

/// The tensors of the module, for each direction.
fn tensors(editor: &mut Editor, node: NodeIndex, form: &Recurrence) -> Option<Vec<Vec<Operand>>> {
    let stacks: [(Option<usize>, &[&str]); 3] = [
        (Some(form.features), &["weight_ih"]),
        (Some(form.hidden), &["weight_hh"]),
        (None, &["bias_ih", "bias_hh"]),
    ];
    let directions = form.reversed.len();
    let mut found = Vec::new();
    for (slot, (width, names)) in (1..).zip(stacks) {
        let operand = editor.input(node, slot);
        if width.is_none() && operand == Operand::Absent {
            continue;
        }
        let rows = form.hidden.checked_mul(4)?;
        let stack = Stack { count: directions * names.len(), rows, width };
        found.push((stack, names, stack.tensors(editor, operand)?));
    }
    let layer = layer(editor, node);
    let mut of_direction = vec![Vec::new(); directions];
    for (stack, names, tensors) in found {
        let tensors = match tensors {
            Tensors::OfModule(tensors) => tensors,
            Tensors::Stacked(id) => {
                let name = |place: usize| {
                    let direction = ["", "_reverse"][place / names.len()];
                    format!("{}_l{layer}{direction}", names[place % names.len()])
                };
                stack.take_apart(editor, node, id, name)
            }
        };
        for (own, tensors) in of_direction.iter_mut().zip(tensors.chunks(names.len())) {
            own.extend(tensors);
        }
    }
    Some(of_direction)
}

/// The node of one direction, with its tensors.
fn insert(
    editor: &mut Editor,
    node: NodeIndex,
    form: &Recurrence,
    direction: usize,
    tensors: Vec<Operand>,
) -> Option<NodeIndex> {
    let mut inputs = vec![editor.input(node, 0)];
    inputs.extend(tensors);
    inputs.resize(5, Operand::Absent);
    inputs.extend([5, 6].map(|slot| state(editor, node, slot, form, direction)));
    let given = inputs.iter().rposition(|input| *input != Operand::Absent)?;
    inputs.truncate(given + 1);
    let mut attributes = vec![("hidden_size", Attribute::Int(form.hidden as i64))];
    if form.reversed[direction] {
        attributes.push(("direction", Attribute::String("reverse".to_owned())));
    }
    if form.batch_first {
        attributes.push(("layout", Attribute::Int(1)));
    }
    let (_, shape) = form.output(0, 1);
    let output = editor.insert(node, "LSTM", &attributes, &inputs, Some(shape));
    let Operand::Node { node: made, .. } = output else { return None };
    editor.set_own_domain(made);
    // Exporters leave outputs out that nobody reads, or do not.
    for slot in [1, 2] {
        let (_, shape) = form.output(slot, 1);
        editor.add_output(made, shape);
    }
    Some(made)
}

/// The state that a direction starts from; absent where it is zero.
fn state(
    editor: &mut Editor,
    node: NodeIndex,
    slot: usize,
    form: &Recurrence,
    direction: usize,
) -> Operand {
    let whole = editor.input(node, slot);
    if whole == Operand::Absent || is_zero(editor, whole) {
        return Operand::Absent;
    }
    if form.reversed.len() == 1 {
        return whole;
    }
    let (axis, shape) = form.output(slot, 1);
    let [start, end, axis] =
        [direction, direction + 1, axis].map(|bound| editor.int_list(vec![bound as i64]));
    let part = editor.insert(node, "Slice", &[], &[whole, start, end, axis], Some(shape));
    if let Operand::Node { node, .. } = part {
        editor.raise_opset(node, 13);
    }
    part
}

/// Whether a value is known to be zero everywhere, perhaps repeated or cut.
fn is_zero(editor: &Editor, mut operand: Operand) -> bool {
    for _ in 0..LONGEST {
        if editor.value(operand).is_some() {
            return editor.is_filled(operand, 0.0);
        }
        let cut = ["Expand", "Identity", "Slice"];
        let Some(node) = cut.iter().find_map(|op_type| editor.made_by(operand, op_type)) else {
            return false;
        };
        operand = editor.input(node, 0);
    }
    false
}

/// Which layer of its module an LSTM is.
fn layer(editor: &Editor, node: NodeIndex) -> usize {
    let own = editor.node(node);
    let before: BTreeSet<usize> = editor
        .node_weights()
        .filter(|it| it.op_type == own.op_type && it.module.is_some() && it.module == own.module)
        .map(|it| it.position)
        .filter(|&position| position < own.position)
        .collect();
    before.len()
}
