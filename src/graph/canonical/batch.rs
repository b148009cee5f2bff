//! Batch sizes that an export writes into targets of shapes. What follows the batch is known once shapes
//! were inferred for two of them; here the graph is changed accordingly.

use super::{
    super::{Architecture, Attribute, NodeIndex, Operand},
    edit::Editor,
};

/// A change after which a node follows the batch. At the batch of the file it computes what it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchRepair {
    /// Another target of a `Reshape` or `Expand`.
    Target {
        /// The node.
        node: NodeIndex,
        /// Its target.
        target: Vec<i64>,
    },
    /// A `Reshape` that keeps the first axis and joins all others.
    Flatten {
        /// The node.
        node: NodeIndex,
    },
    /// A target that has the batch of the graph's first input among its extents.
    Computed {
        /// The node.
        node: NodeIndex,
        /// Its input that is the target.
        slot: usize,
        /// Extents so far.
        shape: Vec<usize>,
        /// Which of them is the batch.
        axis: usize,
    },
    /// An `Expand` in front of an input.
    Repeated {
        /// The node.
        node: NodeIndex,
        /// Its input.
        slot: usize,
        /// Extents so far.
        shape: Vec<usize>,
        /// Which of them becomes the batch.
        axis: usize,
    },
    /// An input that is as it is for each image: what is joined with several parts of an image, along the first
    /// axis.
    Tiled {
        /// The node.
        node: NodeIndex,
        /// Its input.
        slot: usize,
        /// Extents for one image.
        shape: Vec<usize>,
    },
}

impl Architecture {
    /// Lets nodes follow the batch; says whether any did not.
    pub fn follow_batch(&mut self, repairs: &[BatchRepair]) -> bool {
        let mut editor = Editor::new(self);
        for repair in repairs {
            match repair {
                BatchRepair::Target { node, target } => {
                    let target = editor.int_list(target.clone());
                    editor.remove_attribute(*node, "allowzero");
                    editor.set_input(*node, 1, target);
                }
                BatchRepair::Flatten { node } => {
                    let data = editor.input(*node, 0);
                    let axis = [("axis", Attribute::Int(1))];
                    editor.become_operator(*node, "Flatten", &axis, &[data]);
                }
                BatchRepair::Computed { node, slot, shape, axis } => {
                    let target = target(&mut editor, *node, shape, *axis);
                    editor.set_input(*node, *slot, target);
                }
                BatchRepair::Repeated { node, slot, shape, axis } => {
                    let target = target(&mut editor, *node, shape, *axis);
                    let inputs = [editor.input(*node, *slot), target];
                    let repeated =
                        editor.insert(*node, "Expand", &[], &inputs, Some(shape.clone()));
                    editor.set_input(*node, *slot, repeated);
                }
                BatchRepair::Tiled { node, slot, shape } => {
                    let of_one = [&[1], &shape[..]].concat();
                    let inputs = [editor.input(*node, *slot), editor.extents(&of_one)];
                    let tile = editor.insert(*node, "Reshape", &[], &inputs, Some(of_one.clone()));
                    let inputs = [tile, target(&mut editor, *node, &of_one, 0)];
                    let repeated = editor.insert(*node, "Expand", &[], &inputs, Some(of_one));
                    let mut joined: Vec<i64> = shape.iter().map(|&extent| extent as i64).collect();
                    joined[0] = -1;
                    let inputs = [repeated, editor.int_list(joined)];
                    let tiled = editor.insert(*node, "Reshape", &[], &inputs, Some(shape.clone()));
                    editor.set_input(*node, *slot, tiled);
                }
            }
        }
        editor.finish()
    }

    /// Whether a target is one that [`BatchRepair::Computed`] makes.
    pub fn is_computed_from_batch(&self, target: Operand) -> bool {
        let Operand::Node { node, .. } = target else { return false };
        let of_input = |operand: &Operand| {
            let Operand::Node { node, .. } = operand else { return false };
            let node = &self.dag[*node];
            node.op_type == "Shape" && node.inputs == [Operand::Input(0)]
        };
        let constant = |operand: &&Operand| matches!(operand, Operand::Constant(_));
        let node = &self.dag[node];
        node.op_type == "Concat"
            && node.inputs.iter().filter(|operand| !constant(operand)).all(of_input)
    }
}

/// Extents with the batch among them.
fn target(editor: &mut Editor, beside: NodeIndex, shape: &[usize], axis: usize) -> Operand {
    let first = [("start", Attribute::Int(0)), ("end", Attribute::Int(1))];
    let batch = editor.insert(beside, "Shape", &first, &[Operand::Input(0)], Some(vec![1]));
    let mut parts = Vec::new();
    if axis > 0 {
        parts.push(editor.extents(&shape[..axis]));
    }
    parts.push(batch);
    if axis + 1 < shape.len() {
        parts.push(editor.extents(&shape[axis + 1..]));
    }
    let along = [("axis", Attribute::Int(0))];
    editor.insert(beside, "Concat", &along, &parts, Some(vec![shape.len()]))
}
