//! Which nodes have the batch size of the file written into them. Shapes are inferred for a larger batch;
//! where a node does not follow it, that is mended, and the shapes behind it are those it should have.

use std::collections::HashMap;

use crate::graph::{Architecture, BatchRepair, NodeIndex, Operand};

use super::{Registry, visit::visit};

/// How many times as large the batch is.
const LARGER: usize = 3;

/// Lets every node of an architecture of known shapes follow the batch; says whether any did not.
pub(super) fn follow(architecture: &mut Architecture, registry: &Registry) -> bool {
    let Some(batch) = extents(architecture, Operand::Input(0)).and_then(|it| it.first().copied())
    else {
        return false;
    };
    if !architecture.order.iter().any(|&node| may_hold_batch(architecture, node)) {
        return false;
    }
    let mut larger = architecture.clone();
    larger.declared.clear();
    for shape in larger.inputs.iter_mut().filter_map(|input| input.shape.as_mut()) {
        if let Some(first) = shape.first_mut().filter(|first| **first == batch) {
            *first *= LARGER;
        }
    }
    let mut repairs = Vec::new();
    let mut outside = HashMap::new();
    for node in architecture.order.clone() {
        // What cannot be inferred at another batch is left as it is.
        let understood = matches!(visit(&mut larger, registry, node), Ok(None));
        let probe = Probe { own: architecture, larger: &larger, batch, outside: &outside };
        let repair = probe.repair(node, understood);
        let outer = probe.outside_of(node);
        if let Some((found, axis)) = repair {
            repairs.extend(found);
            if let Some(mut shape) = extents(architecture, Operand::Node { node, slot: 0 }) {
                shape[axis] *= LARGER;
                larger.dag[node].outputs[0].shape = Some(shape);
            }
        }
        outside.insert(node, outer);
    }
    !repairs.is_empty() && architecture.follow_batch(&repairs)
}

/// Whether the target of a node, or what it joins with images, may be that of one batch only.
fn may_hold_batch(architecture: &Architecture, index: NodeIndex) -> bool {
    let node = &architecture.dag[index];
    if !node.domain.is_empty() || node.outputs.iter().all(|output| output.value.is_some()) {
        return false;
    }
    let fixed = |operand: &Operand| matches!(operand, Operand::Parameter(_) | Operand::Constant(_));
    match (node.op_type.as_str(), node.inputs.as_slice()) {
        ("Reshape", [data, target, ..]) => !fixed(data) && !keeps_first(architecture, *target),
        ("Expand", _) => true,
        ("Concat", inputs) => inputs.iter().any(|operand| match operand {
            Operand::Node { node, .. } => !reads_input(architecture, *node),
            _ => true,
        }),
        ("Resize", [_, _, _, ..]) => true,
        _ => false,
    }
}

/// Whether a target is that of another value or begins with "as the input has it".
fn keeps_first(architecture: &Architecture, target: Operand) -> bool {
    match target {
        Operand::Node { node, .. } => architecture.dag[node].op_type == "Shape",
        _ => ints(architecture, target).is_some_and(|target| target.first() == Some(&0)),
    }
}

fn reads_input(architecture: &Architecture, node: NodeIndex) -> bool {
    let mut seen = vec![false; architecture.dag.node_count()];
    let mut waiting = vec![node];
    while let Some(node) = waiting.pop() {
        if std::mem::replace(&mut seen[node.index()], true) {
            continue;
        }
        for operand in &architecture.dag[node].inputs {
            match operand {
                Operand::Input(_) => return true,
                Operand::Node { node, .. } => waiting.push(*node),
                _ => {}
            }
        }
    }
    false
}

fn extents(architecture: &Architecture, operand: Operand) -> Option<Vec<usize>> {
    architecture.fact(operand)?.shape
}

/// A target that is written into the file.
fn ints(architecture: &Architecture, operand: Operand) -> Option<&[i64]> {
    match operand {
        Operand::Constant(index) => architecture.constants[index].1.ints(),
        _ => None,
    }
}

/// An architecture with its own shapes, and with those of a larger batch.
struct Probe<'a> {
    own: &'a Architecture,
    larger: &'a Architecture,
    batch: usize,
    /// By node, how many values of the axis that holds the batch lie outside of it: heads or tokens that
    /// were joined with the images.
    outside: &'a HashMap<NodeIndex, usize>,
}

impl Probe<'_> {
    /// What lets a node follow the batch, and the axis of the batch in its result; `None` where shapes are
    /// as they should be.
    fn repair(&self, index: NodeIndex, understood: bool) -> Option<(Vec<BatchRepair>, usize)> {
        let node = &self.own.dag[index];
        if !node.domain.is_empty() {
            return None;
        }
        let result = Operand::Node { node: index, slot: 0 };
        let shape = extents(self.own, result)?;
        let data = *node.inputs.first()?;
        let follows = |axis| understood && self.grown(result) == Some(Some(axis));
        match node.op_type.as_str() {
            "Reshape" => {
                let from = extents(self.own, data)?;
                let axis = self.grown(data)??;
                let Place { axis: to, .. } = self.place(data, &shape)?;
                let keeps = axis == 0 && to == 0 && from[0] == shape[0];
                if keeps && shape.len() == 2 {
                    return Some((vec![BatchRepair::Flatten { node: index }], to));
                }
                let operand = *node.inputs.get(1)?;
                if follows(to) && keeps_first(self.own, operand) {
                    return None;
                }
                let mut target: Vec<i64> = shape.iter().map(|&extent| extent as i64).collect();
                target[to] = if from.get(to) == Some(&shape[to]) && axis == to { 0 } else { -1 };
                let plain = !node.attributes.0.contains_key("allowzero");
                let written = plain && ints(self.own, operand) == Some(&target);
                let repair = BatchRepair::Target { node: index, target };
                Some((if written { Vec::new() } else { vec![repair] }, to))
            }
            "Expand" => match self.grown(data)? {
                Some(axis) => {
                    let axis = axis + shape.len() - extents(self.own, data)?.len();
                    let mut target: Vec<i64> = shape.iter().map(|&extent| extent as i64).collect();
                    target[axis] = 1;
                    let repair = BatchRepair::Target { node: index, target };
                    (!follows(axis)).then(|| (vec![repair], axis))
                }
                None => {
                    let axis = self.grown(result)??;
                    let computed = self.own.is_computed_from_batch(*node.inputs.get(1)?);
                    let repair = BatchRepair::Computed { node: index, slot: 1, shape, axis };
                    (!computed).then(|| (vec![repair], axis))
                }
            },
            "Resize" => {
                let axis = self.grown(data)??;
                let sizes = node.inputs.get(3).is_some_and(|sizes| *sizes != Operand::Absent);
                let repair = BatchRepair::Computed { node: index, slot: 3, shape, axis };
                (sizes && !follows(axis)).then(|| (vec![repair], axis))
            }
            "Concat" => self.joined(index),
            "Add" if !understood => self.tiled(index),
            _ => None,
        }
    }

    /// What lets all that a `Concat` joins follow the batch that some of it follows.
    fn joined(&self, index: NodeIndex) -> Option<(Vec<BatchRepair>, usize)> {
        let node = &self.own.dag[index];
        let grown: Vec<Option<usize>> =
            node.inputs.iter().map(|&input| self.grown(input)).collect::<Option<_>>()?;
        let axis = grown.iter().find_map(|axis| *axis)?;
        let mut repairs = Vec::new();
        for (slot, _) in grown.iter().enumerate().filter(|(_, grown)| grown.is_none()) {
            let operand = node.inputs[slot];
            let shape = extents(self.own, operand)?;
            (shape.get(axis) == Some(&self.batch)).then_some(())?;
            repairs.push(match operand {
                Operand::Node { node, .. } if self.own.dag[node].op_type == "Expand" => {
                    BatchRepair::Computed { node, slot: 1, shape, axis }
                }
                _ if self.batch == 1 => BatchRepair::Repeated { node: index, slot, shape, axis },
                _ => return None,
            });
        }
        (!repairs.is_empty()).then_some((repairs, axis))
    }

    /// What lets the other operand of a sum with parts of images, as windows are, follow the batch: a mask for the
    /// parts of one image, say.
    fn tiled(&self, index: NodeIndex) -> Option<(Vec<BatchRepair>, usize)> {
        let &[a, b] = self.own.dag[index].inputs.as_slice() else { return None };
        let (parts, slot, fixed) = match self.grown(a)? {
            Some(_) => (a, 1, b),
            None => (b, 0, a),
        };
        let (shape, of_parts) = (extents(self.own, fixed)?, extents(self.own, parts)?);
        let fits = self.batch == 1
            && self.outside(parts) == 1
            && [self.grown(parts)?, self.grown(fixed)?] == [Some(0), None]
            && shape.len() == of_parts.len()
            && shape[0] == of_parts[0]
            && shape[0] > 1;
        fits.then(|| (vec![BatchRepair::Tiled { node: index, slot, shape }], 0))
    }

    /// Where the images of a value are once it has another shape.
    fn place(&self, data: Operand, shape: &[usize]) -> Option<Place> {
        let from = extents(self.own, data)?;
        let axis = self.grown(data)??;
        batch_place(&from, Place { axis, outside: self.outside(data) }, shape, self.batch)
    }

    fn outside(&self, operand: Operand) -> usize {
        match operand {
            Operand::Node { node, .. } => self.outside.get(&node).copied().unwrap_or(1),
            _ => 1,
        }
    }

    /// As [`Probe::outside`], for what a node makes of the values before it.
    fn outside_of(&self, index: NodeIndex) -> usize {
        let node = &self.own.dag[index];
        let images = |operand: &&Operand| matches!(self.grown(**operand), Some(Some(_)));
        let Some(&data) = node.inputs.iter().find(images) else { return 1 };
        let reshaped = matches!(node.op_type.as_str(), "Reshape" | "Flatten")
            .then(|| self.place(data, &extents(self.own, Operand::Node { node: index, slot: 0 })?));
        match reshaped.flatten() {
            Some(place) => place.outside,
            None => self.outside(data),
        }
    }

    /// The only axis of a value that is larger where the batch is, if any is; `None` where that is not
    /// known.
    fn grown(&self, operand: Operand) -> Option<Option<usize>> {
        let (own, larger) = (extents(self.own, operand)?, extents(self.larger, operand)?);
        let mut axes = (0..own.len()).filter(|&axis| own.get(axis) != larger.get(axis));
        let (axis, others) = (axes.next(), axes.next());
        let right = axis.is_none_or(|axis| larger.get(axis) == Some(&(own[axis] * LARGER)));
        (own.len() == larger.len() && right && others.is_none()).then_some(axis)
    }
}

/// Where the images of a batch are: an axis, and how many of its values lie outside of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    axis: usize,
    outside: usize,
}

/// Where a `Reshape` puts the batch. Where that could be several axes, it is one that holds nothing else, or
/// else one whose outermost part it is; the last axis holds features.
fn batch_place(from: &[usize], place: Place, to: &[usize], batch: usize) -> Option<Place> {
    let count = |extents: &[usize]| extents.iter().product::<usize>();
    let held = place.outside * batch;
    if held == 0 || !from[place.axis].is_multiple_of(held) || count(from) != count(to) {
        return None;
    }
    let outside = count(&from[..place.axis]) * place.outside;
    let inside = from[place.axis] / held * count(&from[place.axis + 1..]);
    let mut before = 1;
    let mut best = None;
    for (axis, &extent) in to.iter().enumerate() {
        if outside == 0 || !outside.is_multiple_of(before) {
            break;
        }
        let outer = outside / before;
        let fits = extent.is_multiple_of(outer * batch)
            && extent / (outer * batch) * count(&to[axis + 1..]) == inside;
        if fits && extent > 0 {
            let rank = match () {
                () if extent == batch => 0,
                () if axis > 0 && axis + 1 == to.len() => 3,
                () if outer == 1 => 1,
                () => 2,
            };
            let candidate = (rank, axis, outer);
            best = Some(best.map_or(candidate, |best| candidate.min(best)));
        }
        before *= extent;
    }
    best.map(|(_, axis, outside)| Place { axis, outside })
}

#[cfg(test)]
mod tests {
    use super::{Place, batch_place};

    /// The batch outside of all else in an axis.
    fn first(axis: usize) -> Place {
        Place { axis, outside: 1 }
    }

    #[test]
    fn the_batch_is_found_behind_reshapes() {
        // Windows and back.
        let found = batch_place(&[1, 8, 8, 12], first(0), &[1, 2, 4, 2, 4, 12], 1);
        assert_eq!(found, Some(first(0)));
        let found = batch_place(&[1, 2, 2, 4, 4, 12], first(0), &[4, 16, 12], 1);
        assert_eq!(found, Some(first(0)));
        let found = batch_place(&[4, 16, 12], first(0), &[1, 2, 2, 4, 4, 12], 1);
        assert_eq!(found, Some(first(0)));
        // A batch of several.
        let found = batch_place(&[2, 32, 4, 4], first(0), &[2, 2, 16, 4, 4], 2);
        assert_eq!(found, Some(first(0)));
        assert_eq!(batch_place(&[3, 5], first(0), &[5, 3], 3), None);
    }

    #[test]
    fn a_sequence_that_comes_first_stays_outside_of_the_batch() {
        // Heads of attention, and back.
        assert_eq!(batch_place(&[16, 1, 48], first(1), &[16, 4, 12], 1), Some(first(1)));
        assert_eq!(batch_place(&[4, 16, 12], first(0), &[1, 4, 16, 12], 1), Some(first(0)));
        let joined = Place { axis: 0, outside: 16 };
        assert_eq!(batch_place(&[16, 1, 4, 12], first(1), &[16, 48], 1), Some(joined));
        assert_eq!(batch_place(&[16, 48], joined, &[16, 1, 48], 1), Some(first(1)));
    }

    #[test]
    fn an_axis_of_one_is_no_batch_behind_what_it_holds() {
        // Positions along one side of an image, to be repeated along the other.
        assert_eq!(batch_place(&[16, 4, 4], first(0), &[4, 4, 1, 4, 4], 1), Some(first(0)));
        // Pixels of one patch.
        assert_eq!(batch_place(&[1, 4, 1, 96], first(0), &[4, 1, 96], 1), Some(first(0)));
    }
}
