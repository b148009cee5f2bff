//! Images with their channels last, as TensorFlow keeps them. Its convolutions are written with a
//! `Transpose` on either side, often with other operators between two of them. A region of operators that
//! compute the same in either layout is moved to channels first where that leaves fewer transposes.

mod operators;
mod region;

use super::{
    super::{NodeIndex, Operand},
    edit::Editor,
    permutation,
};
use operators::Move;
use region::Region;

/// Moves the region in front of a `Transpose` that brings channels first, or behind one that puts them last.
pub(super) fn channels_first(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    let order = editor.order_of_axes(node)?;
    let rank = order.len();
    if !(3..=5).contains(&rank) {
        return None;
    }
    let value = match () {
        () if order == permutation::channels_first(rank) => editor.input(node, 0),
        () if order == permutation::channels_last(rank) => Operand::Node { node, slot: 0 },
        () => return None,
    };
    let region = Region::around(editor, value, rank)?;
    (region.gain(editor) > 0).then(|| region.apply(editor))
}

impl Region {
    /// Transposes that moving saves.
    fn gain(&self, editor: &Editor) -> i64 {
        let stays = |value: &Operand| self.foreign.iter().any(|(foreign, _)| foreign == value);
        let kept = self.entries.keys().filter(|value| stays(value) || editor.is_returned(**value));
        // A `Transpose` in front of what flattens an image goes into the linear map behind that.
        let flattens = |node: NodeIndex| {
            let result = Operand::Node { node, slot: 0 };
            (editor.is(node, "Flatten") || editor.is(node, "Reshape"))
                && editor.shape(result).is_some_and(|shape| shape.len() == 2)
        };
        let turned = |value: &Operand| {
            let mut foreign = self.foreign.iter().filter(|(foreign, _)| foreign == value);
            foreign.any(|(_, (reader, _))| !flattens(*reader)) || editor.is_returned(*value)
        };
        let returned = self
            .values
            .iter()
            .filter(|value| !self.entries.contains_key(value))
            .filter(|value| turned(value));
        let saved = self.exits.len() + self.entries.len() - kept.count();
        saved as i64 - returned.count() as i64
    }

    fn apply(self, editor: &mut Editor) {
        let now = |value: Operand| self.entries.get(&value).copied().unwrap_or(value);
        let (first, last) =
            (permutation::channels_first(self.rank), permutation::channels_last(self.rank));
        // Values as they are now come first, while the shapes are those of before.
        for &value in self.values.iter().filter(|value| !self.entries.contains_key(value)) {
            let readers: Vec<_> =
                self.foreign.iter().filter(|(foreign, _)| *foreign == value).collect();
            let Operand::Node { node, .. } = value else { continue };
            let returned = editor.is_returned(value);
            if readers.is_empty() && !returned {
                continue;
            }
            let shape = editor.shape(value).map(<[usize]>::to_vec);
            let perm = ("perm", permutation::attribute(&last));
            let turned = editor.insert(node, "Transpose", &[perm], &[value], shape);
            for &&(_, (reader, slot)) in &readers {
                editor.set_input(reader, slot, turned);
            }
            if returned {
                editor.return_instead(value, turned);
            }
        }
        for (node, moves) in &self.nodes {
            for (slot, change) in moves {
                change.apply(editor, *node, *slot, self.rank);
            }
            let inputs: Vec<Operand> =
                editor.node(*node).inputs.iter().map(|&it| now(it)).collect();
            if inputs != editor.node(*node).inputs {
                editor.set_inputs(*node, &inputs);
            }
        }
        for &exit in &self.exits {
            let value = now(editor.input(exit, 0));
            editor.replace(Operand::Node { node: exit, slot: 0 }, value);
            // Nobody takes it for a reader of the value as it is now.
            editor.set_inputs(exit, &[]);
        }
        for &value in &self.values {
            match value {
                Operand::Input(index) => editor.permute_input(index, &first),
                Operand::Node { .. } if !self.entries.contains_key(&value) => {
                    editor.permute_output(value, &first);
                }
                _ => {}
            }
        }
    }
}
