//! Operators between transposes, all values between them with their channels last.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{
    super::{
        super::{NodeIndex, Operand},
        edit::Editor,
        permutation,
    },
    Move,
    operators::{self, Leaving},
};

/// Operators that compute the same in either layout, and what they read and hand on.
#[derive(Debug, Default)]
pub(super) struct Region {
    pub rank: usize,
    /// Values with their channels last.
    pub values: HashSet<Operand>,
    /// Those that a `Transpose` makes, with what it makes them from.
    pub entries: HashMap<Operand, Operand>,
    /// Operators, those included that read the region's values and return none, and what changes in
    /// each of their inputs or, under the number of inputs, in their attributes.
    pub nodes: BTreeMap<NodeIndex, Vec<(usize, Move)>>,
    /// Transposes that bring channels first.
    pub exits: Vec<NodeIndex>,
    /// Values that are read with their channels last, and by whom.
    pub foreign: Vec<(Operand, (NodeIndex, usize))>,
}

impl Region {
    /// The region that a value is in; `None` if something enters it that cannot be moved.
    pub fn around(editor: &Editor, value: Operand, rank: usize) -> Option<Self> {
        let mut region = Self { rank, ..Self::default() };
        let mut waiting = vec![value];
        while let Some(value) = waiting.pop() {
            if region.values.insert(value) {
                waiting.extend(region.enter(editor, value)?);
                waiting.extend(region.leave(editor, value));
            }
        }
        Some(region)
    }

    /// Values that the maker of a value has in the same layout.
    fn enter(&mut self, editor: &Editor, value: Operand) -> Option<Vec<Operand>> {
        (editor.shape(value)?.len() == self.rank).then_some(())?;
        let node = match value {
            // Images only: an input of another rank may be a sequence.
            Operand::Input(_) => return (self.rank == 4).then(Vec::new),
            Operand::Node { node, .. } => node,
            _ => return None,
        };
        if let Some(order) = editor.order_of_axes(node) {
            (order == permutation::channels_last(self.rank)).then_some(())?;
            self.entries.insert(value, editor.input(node, 0));
            return Some(Vec::new());
        }
        self.join(editor, node)
    }

    /// Makes a node part of the region; its other values of the region's layout.
    fn join(&mut self, editor: &Editor, node: NodeIndex) -> Option<Vec<Operand>> {
        if self.nodes.contains_key(&node) {
            return Some(Vec::new());
        }
        let kept = operators::kept(editor, node, self.rank)?;
        self.nodes.insert(node, kept.moves);
        Some(kept.values)
    }

    /// Values that the readers of a value have in the same layout.
    fn leave(&mut self, editor: &Editor, value: Operand) -> Vec<Operand> {
        let mut further = Vec::new();
        for &(reader, slot) in editor.readers(value) {
            if self.nodes.contains_key(&reader) {
                continue;
            }
            let first = permutation::channels_first(self.rank);
            if editor.order_of_axes(reader).is_some_and(|order| order == first) {
                let returned = editor.is_returned(Operand::Node { node: reader, slot: 0 });
                // What a graph returns is the result of a node.
                if !(returned && matches!(value, Operand::Input(_))) {
                    self.exits.push(reader);
                    continue;
                }
            }
            match operators::leaving(editor, reader, value, self.rank) {
                Some(Leaving::Joins) => match self.join(editor, reader) {
                    Some(values) => further.extend(values),
                    None => self.foreign.push((value, (reader, slot))),
                },
                Some(Leaving::Ends(moves)) => {
                    self.nodes.insert(reader, moves);
                }
                None => self.foreign.push((value, (reader, slot))),
            }
        }
        further
    }
}
