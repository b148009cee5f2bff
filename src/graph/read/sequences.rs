//! Sequences of tensors. PyTorch cuts a tensor by `SplitToSequence` and takes the pieces by
//! `SequenceAt`; where cuts and places are constant that is what `Slice` does, so it is read as that.

use std::collections::{BTreeMap, HashMap};

use super::{
    super::{Attribute, Attributes, Constant, NodeIndex, Operand},
    Reader,
};

/// First opset in which `Slice` takes its bounds as inputs and axes may be negative.
const SLICE_BY_INPUTS: i64 = 11;

impl Reader<'_> {
    /// Turns every `SequenceAt` of a `SplitToSequence` into a `Slice` of the `Identity` that the
    /// latter becomes. Sequences that are used in any other way stay what they are.
    pub(super) fn sequences(&mut self) {
        let mut pieces: HashMap<NodeIndex, Vec<(NodeIndex, [i64; 2])>> = HashMap::new();
        let mut odd: Vec<NodeIndex> = Vec::new();
        for reader in self.architecture.dag.node_indices().collect::<Vec<_>>() {
            for (input, &operand) in self.architecture.dag[reader].inputs.iter().enumerate() {
                let Operand::Node { node: cut, slot: 0 } = operand else { continue };
                if self.architecture.dag[cut].op_type != "SplitToSequence" {
                    continue;
                }
                match (input, self.piece(cut, reader)) {
                    (0, Some(bounds)) => pieces.entry(cut).or_default().push((reader, bounds)),
                    _ => odd.push(cut),
                }
            }
        }
        let returned = self.architecture.outputs.iter().map(|(_, operand)| *operand);
        odd.extend(returned.filter_map(|operand| match operand {
            Operand::Node { node, .. } => Some(node),
            _ => None,
        }));
        pieces.retain(|cut, _| !odd.contains(cut));
        let mut pieces: Vec<_> = pieces.into_iter().collect();
        pieces.sort_unstable();
        for (cut, readers) in pieces {
            let axis = self.architecture.dag[cut].attributes.int("axis", 0).unwrap_or(0);
            for (reader, [start, end]) in readers {
                let mut inputs = vec![Operand::Node { node: cut, slot: 0 }];
                for value in [start, end, axis] {
                    let bound = Constant::Int { shape: vec![1], data: vec![value] };
                    let name = self.architecture.dag[reader].name.clone();
                    inputs.push(self.constant(&name, bound));
                }
                let node = &mut self.architecture.dag[reader];
                node.op_type = "Slice".to_owned();
                node.inputs = inputs;
            }
            let node = &mut self.architecture.dag[cut];
            node.op_type = "Identity".to_owned();
            node.inputs.truncate(1);
            node.attributes = Attributes(BTreeMap::new());
        }
    }

    /// From where to where a `SequenceAt` takes the values of what a `SplitToSequence` cuts.
    fn piece(&self, cut: NodeIndex, reader: NodeIndex) -> Option<[i64; 2]> {
        let (cut, reader) = (&self.architecture.dag[cut], &self.architecture.dag[reader]);
        let default = cut.domain.is_empty() && reader.domain.is_empty();
        let keeps = !matches!(cut.attributes.0.get("keepdims"), Some(Attribute::Int(0)));
        let taken = reader.op_type == "SequenceAt" && cut.opset >= SLICE_BY_INPUTS;
        (default && keeps && taken).then_some(())?;
        let ints = |operand: Option<&Operand>| match operand {
            Some(&Operand::Constant(index)) => Some(&self.architecture.constants[index].1),
            _ => None,
        };
        let place = *ints(reader.inputs.get(1))?.ints()?.first()?;
        match ints(cut.inputs.get(1))? {
            Constant::Int { shape, data } if shape.is_empty() => {
                let length = *data.first()?;
                let start = place.checked_mul(length).filter(|&start| start >= 0 && length > 0)?;
                Some([start, start.checked_add(length)?])
            }
            Constant::Int { data, .. } => {
                let count = i64::try_from(data.len()).ok()?;
                let place = if place < 0 { place + count } else { place };
                let place = usize::try_from(place).ok().filter(|&place| place < data.len())?;
                let total = |lengths: &[i64]| {
                    lengths.iter().try_fold(0i64, |sum, &length| {
                        sum.checked_add(length).filter(|_| length >= 0)
                    })
                };
                Some([total(&data[..place])?, total(&data[..=place])?])
            }
            Constant::Float(_) => None,
        }
    }
}
