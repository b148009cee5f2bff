//! Which nodes have the batch size of the file written into them. Shapes are inferred for a larger batch;
//! where a node does not follow it, that is mended, and the shapes behind it are those it should have.

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
    for node in architecture.order.clone() {
        // What cannot be inferred at another batch is left as it is.
        let understood = matches!(visit(&mut larger, registry, node), Ok(None));
        let probe = Probe { own: architecture, larger: &larger, batch };
        let Some((found, axis)) = probe.repair(node, understood) else { continue };
        repairs.extend(found);
        if let Some(mut shape) = extents(architecture, Operand::Node { node, slot: 0 }) {
            shape[axis] *= LARGER;
            larger.dag[node].outputs[0].shape = Some(shape);
        }
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
                let to = batch_axis(&from, axis, &shape, self.batch)?;
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

/// Where a `Reshape` puts the batch that is part of an axis of what it reads. Where that could be several
/// axes, it is one that holds nothing else, or else one whose outermost part it is; the last axis holds
/// features.
fn batch_axis(from: &[usize], axis: usize, to: &[usize], batch: usize) -> Option<usize> {
    let count = |extents: &[usize]| extents.iter().product::<usize>();
    if batch == 0 || !from[axis].is_multiple_of(batch) || count(from) != count(to) || count(to) == 0
    {
        return None;
    }
    let beside = from[axis] / batch;
    let mut best = None;
    for part in (1..=beside).filter(|part| beside.is_multiple_of(*part)) {
        let outside = count(&from[..axis]) * part;
        let mut before = 1;
        for (place, &extent) in to.iter().enumerate() {
            let outer = outside / before;
            let fits = outside.is_multiple_of(before) && extent.is_multiple_of(outer * batch);
            let inside = beside / part * count(&from[axis + 1..]);
            if fits && extent / (outer * batch) * count(&to[place + 1..]) == inside {
                let rank = match () {
                    () if extent == batch => 0,
                    () if place > 0 && place + 1 == to.len() => 3,
                    () if outer == 1 => 1,
                    () => 2,
                };
                let candidate = (rank, place);
                best = Some(best.map_or(candidate, |best| candidate.min(best)));
            }
            before *= extent;
        }
    }
    best.map(|(_, place)| place)
}

#[cfg(test)]
mod tests {
    use super::batch_axis;

    #[test]
    fn the_batch_is_found_behind_reshapes() {
        // Windows and back.
        assert_eq!(batch_axis(&[1, 8, 8, 12], 0, &[1, 2, 4, 2, 4, 12], 1), Some(0));
        assert_eq!(batch_axis(&[1, 2, 2, 4, 4, 12], 0, &[4, 16, 12], 1), Some(0));
        assert_eq!(batch_axis(&[4, 16, 12], 0, &[1, 2, 2, 4, 4, 12], 1), Some(0));
        // Heads of attention over a sequence that comes first, and back.
        assert_eq!(batch_axis(&[16, 1, 48], 1, &[16, 4, 12], 1), Some(1));
        assert_eq!(batch_axis(&[4, 16, 12], 0, &[1, 4, 16, 12], 1), Some(0));
        assert_eq!(batch_axis(&[16, 1, 4, 12], 1, &[16, 48], 1), Some(0));
        assert_eq!(batch_axis(&[16, 48], 0, &[16, 1, 48], 1), Some(1));
        // A batch of several.
        assert_eq!(batch_axis(&[2, 32, 4, 4], 0, &[2, 2, 16, 4, 4], 2), Some(0));
        assert_eq!(batch_axis(&[3, 5], 0, &[5, 3], 3), None);
    }
}
