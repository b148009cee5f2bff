//! How channels pass through the operators, by the same steps that operators lower to. An operator
//! that is not followed freezes the channels that it reads.

use std::collections::HashMap;

use crate::{
    graph::{Architecture, Fact, Node, NodeIndex, Operand},
    kernels::Step,
    ops::Registry,
};

use super::ties::{Axis, Ties};

/// The axes of a value.
type Value = Vec<Axis>;

/// What holds for all of a graph.
pub(super) struct Followed {
    pub ties: Ties,
    /// By parameter; `None` where the shape is not known.
    pub parameters: Vec<Option<Value>>,
}

/// Follows every value of an architecture with known shapes.
pub(super) fn follow(architecture: &Architecture, registry: &Registry) -> Followed {
    let mut ties = Ties::default();
    let parameters = architecture.parameters.iter().map(|parameter| {
        let shape = parameter.shape.as_ref().filter(|_| parameter.dtype.is_float())?;
        Some(shape.iter().map(|&extent| ties.fresh(extent)).collect())
    });
    let parameters = parameters.collect();
    let mut follower = Follower { architecture, ties, parameters, values: HashMap::new() };
    for &index in &architecture.order {
        follower.node(index, registry);
    }
    for (_, operand) in &architecture.outputs {
        follower.freeze(*operand);
    }
    Followed { ties: follower.ties, parameters: follower.parameters }
}

struct Follower<'a> {
    architecture: &'a Architecture,
    ties: Ties,
    parameters: Vec<Option<Value>>,
    values: HashMap<(NodeIndex, usize), Value>,
}

impl Follower<'_> {
    fn value(&self, operand: Operand) -> Option<Value> {
        match operand {
            Operand::Absent => None,
            Operand::Node { node, slot } => self.values.get(&(node, slot)).cloned(),
            Operand::Parameter(id) => self.parameters.get(id.0)?.clone(),
            Operand::Input(_) | Operand::Constant(_) => {
                Some(fixed(&self.architecture.fact(operand)?.shape?))
            }
        }
    }

    fn freeze(&mut self, operand: Operand) {
        let axes = self.value(operand).unwrap_or_default();
        axes.iter().for_each(|axis| self.ties.freeze(axis));
    }

    fn node(&mut self, index: NodeIndex, registry: &Registry) {
        let architecture = self.architecture;
        let node = &architecture.dag[index];
        // What shapes alone decide does not depend on channels.
        let folded = node.outputs.iter().all(|output| output.value.is_some());
        let results = if folded { None } else { self.results(node, registry) };
        let shapes = |results: &Vec<Value>| {
            let fits = |(value, fact): (&Value, &Fact)| {
                fact.shape.as_ref().is_some_and(|shape| {
                    shape.len() == value.len()
                        && value.iter().zip(shape).all(|(axis, &extent)| axis.extent() == extent)
                })
            };
            results.len() == node.outputs.len() && results.iter().zip(&node.outputs).all(fits)
        };
        let results = results.filter(shapes).unwrap_or_else(|| {
            if !folded {
                node.inputs.iter().for_each(|&operand| self.freeze(operand));
            }
            node.outputs.iter().map(|it| fixed(it.shape.as_deref().unwrap_or(&[]))).collect()
        });
        for (slot, value) in results.into_iter().enumerate() {
            self.values.insert((index, slot), value);
        }
    }

    /// The results of a node; `None` if it is not followed.
    fn results(&mut self, node: &Node, registry: &Registry) -> Option<Vec<Value>> {
        let step = registry.step(self.architecture, node)?;
        let operands: Vec<Option<Value>> =
            node.inputs.iter().map(|&operand| self.value(operand)).collect();
        let x = operands.first()?.as_ref()?;
        let to = node.outputs.first()?.shape.as_deref()?;
        let result = match step {
            Step::Identity | Step::Activation(_) | Step::Softmax { .. } => x.clone(),
            Step::Add | Step::Sub | Step::Mul | Step::Scale { .. } => self.broadcast(&operands)?,
            Step::Conv2d { groups, .. } => self.convolution(groups, &operands, to)?,
            Step::BatchNorm { .. } => self.normalised(&operands, 1)?,
            Step::LayerNorm { .. } => self.normalised(&operands, x.len().checked_sub(1)?)?,
            Step::GroupNorm { groups, .. } => {
                self.keep_apart(x.get(1)?, groups)?;
                self.normalised(&operands, 1)?
            }
            Step::Linear { out_in } => self.linear(out_in, &operands)?,
            Step::MatMul => self.product(x, operands.get(1)?.as_ref()?)?,
            Step::MaxPool { .. }
            | Step::AveragePool { .. }
            | Step::AdaptivePool
            | Step::GlobalMaxPool => self.pooled(x, to)?,
            Step::Mean { reduced } => {
                let keeps = to.len() == x.len();
                let axes = x.iter().zip(reduced);
                axes.filter(|(_, reduced)| keeps || !reduced)
                    .map(|(axis, reduced)| if reduced { Axis::Fixed(1) } else { axis.clone() })
                    .collect()
            }
            Step::Concat { axis } => self.concatenated(&operands, axis)?,
            Step::Split { axis } => return self.split(x, axis, node),
            Step::Reshape => self.reshaped(x, to)?,
            Step::View { offset, strides } => self.viewed(x, offset, &strides, to)?,
        };
        Some(vec![result])
    }

    fn broadcast(&mut self, operands: &[Option<Value>]) -> Option<Value> {
        let mut operands = operands.iter().map(Option::as_ref);
        let mut result = operands.next()??.clone();
        for operand in operands {
            let operand = operand?;
            let rank = result.len().max(operand.len());
            let padded = |value: &[Axis]| {
                let lead = std::iter::repeat_n(Axis::Fixed(1), rank - value.len());
                lead.chain(value.iter().cloned()).collect::<Value>()
            };
            let pairs = padded(&result).into_iter().zip(padded(operand));
            result = pairs.map(|(a, b)| self.ties.spread(&a, &b)).collect();
        }
        Some(result)
    }

    fn convolution(
        &mut self,
        groups: usize,
        operands: &[Option<Value>],
        to: &[usize],
    ) -> Option<Value> {
        let [x, weight] = [operands.first()?.as_ref()?, operands.get(1)?.as_ref()?];
        let ([images, read, sides @ ..], [made, kernels, window @ ..]) =
            (x.as_slice(), weight.as_slice())
        else {
            return None;
        };
        let depthwise = [read, made].map(Axis::extent) == [groups; 2];
        sides.iter().chain(window).for_each(|axis| self.ties.freeze(axis));
        match groups {
            1 => self.ties.tie(read, kernels),
            _ if depthwise => self.ties.tie(read, made),
            // The channels of a group have numbers of their own, the same in every group.
            _ => [read, made, kernels].into_iter().for_each(|axis| self.ties.freeze(axis)),
        }
        if let Some(bias) = operands.get(2).and_then(Option::as_ref) {
            self.ties.tie(made, bias.first()?);
        }
        Some([images.clone(), made.clone()].into_iter().chain(fixed(to.get(2..)?)).collect())
    }

    /// A value whose vectors lie along one of its axes.
    fn normalised(&mut self, operands: &[Option<Value>], along: usize) -> Option<Value> {
        let x = operands.first()?.as_ref()?;
        for vector in operands[1..].iter().flatten() {
            let [axis] = vector.as_slice() else { return None };
            self.ties.tie(x.get(along)?, axis);
        }
        Some(x.clone())
    }

    /// Channels that are normalised together stay together.
    fn keep_apart(&mut self, channels: &Axis, groups: usize) -> Option<()> {
        let Axis::Listed(list) = channels else { return Some(()) };
        if (2..list.len()).contains(&groups) {
            for group in list.chunks(list.len().checked_div(groups)?) {
                self.ties.list(group.to_vec());
            }
        }
        Some(())
    }

    fn linear(&mut self, out_in: bool, operands: &[Option<Value>]) -> Option<Value> {
        let [x, weight] = [operands.first()?.as_ref()?, operands.get(1)?.as_ref()?];
        let [rows, columns] = weight.as_slice() else { return None };
        let (made, read) = if out_in { (rows, columns) } else { (columns, rows) };
        let (last, others) = x.split_last()?;
        self.ties.tie(last, read);
        if let Some(bias) = operands.get(2).and_then(Option::as_ref) {
            self.ties.tie(made, bias.first()?);
        }
        Some(others.iter().chain([made]).cloned().collect())
    }

    fn product(&mut self, a: &[Axis], b: &[Axis]) -> Option<Value> {
        let ([a_stack @ .., row, depth], [b_stack @ .., same, column]) = (a, b) else {
            return None;
        };
        self.ties.tie(depth, same);
        let stacks = [Some(a_stack.to_vec()), Some(b_stack.to_vec())];
        let stack = self.broadcast(&stacks)?;
        Some(stack.into_iter().chain([row.clone(), column.clone()]).collect())
    }

    fn pooled(&mut self, x: &[Axis], to: &[usize]) -> Option<Value> {
        let [images, channels, sides @ ..] = x else { return None };
        sides.iter().for_each(|axis| self.ties.freeze(axis));
        Some([images.clone(), channels.clone()].into_iter().chain(fixed(to.get(2..)?)).collect())
    }

    fn concatenated(&mut self, operands: &[Option<Value>], along: usize) -> Option<Value> {
        let mut operands = operands.iter().map(Option::as_ref);
        let mut result = operands.next()??.clone();
        let mut joined = vec![result.get(along)?.clone()];
        for operand in operands {
            let operand = operand?;
            for (axis, (own, other)) in result.iter_mut().zip(operand).enumerate() {
                match axis == along {
                    true => joined.push(other.clone()),
                    false => *own = self.ties.spread(own, other),
                }
            }
        }
        let fixed = joined.iter().all(|axis| matches!(axis, Axis::Fixed(_)));
        result[along] = match fixed {
            true => Axis::Fixed(joined.iter().map(Axis::extent).sum()),
            false => {
                let elements = joined.iter().flat_map(|axis| self.ties.elements(axis)).collect();
                self.ties.list(elements)
            }
        };
        Some(result)
    }

    fn split(&mut self, x: &[Axis], along: usize, node: &Node) -> Option<Vec<Value>> {
        let mut start = 0usize;
        let mut results = Vec::new();
        for output in &node.outputs {
            let extent = *output.shape.as_ref()?.get(along)?;
            let mut value = x.to_vec();
            value[along] = match x.get(along)? {
                Axis::Fixed(_) => Axis::Fixed(extent),
                Axis::Listed(list) => {
                    self.ties.list(list.get(start..start.checked_add(extent)?)?.to_vec())
                }
            };
            start += extent;
            results.push(value);
        }
        Some(results)
    }

    /// Runs of axes that hold the same elements before and after.
    fn reshaped(&mut self, x: &[Axis], to: &[usize]) -> Option<Value> {
        let mut from = x.iter().filter(|axis| axis.extent() != 1);
        let mut result = Vec::with_capacity(to.len());
        let mut targets = to.iter().copied();
        while let Some(target) = targets.next() {
            if target == 1 {
                result.push(Axis::Fixed(1));
                continue;
            }
            let (mut run, mut extents) = (vec![from.next()?], vec![target]);
            let (mut before, mut after) = (run[0].extent(), target);
            while before != after {
                if before < after {
                    run.push(from.next()?);
                    before = before.checked_mul(run.last()?.extent())?;
                } else {
                    extents.push(targets.next()?);
                    after = after.checked_mul(*extents.last()?)?;
                }
            }
            match extents.as_slice() {
                [_] => result.push(self.merged(&run)?),
                several => {
                    run.iter().for_each(|axis| self.ties.freeze(axis));
                    result.extend(several.iter().map(|&extent| Axis::Fixed(extent)));
                }
            }
        }
        from.next().is_none().then_some(result)
    }

    /// Neighbouring axes as one: of channels and pixels, each channel has as many parts as pixels.
    fn merged(&mut self, run: &[&Axis]) -> Option<Axis> {
        if let [axis] = run {
            return Some((*axis).clone());
        }
        let mut listed = run.iter().enumerate().filter_map(|(place, axis)| match axis {
            Axis::Listed(list) => Some((place, list)),
            Axis::Fixed(_) => None,
        });
        let Some((place, list)) = listed.next() else {
            return Some(Axis::Fixed(run.iter().map(|axis| axis.extent()).product()));
        };
        if listed.next().is_some() {
            return None;
        }
        let extents = |axes: &[&Axis]| axes.iter().map(|axis| axis.extent()).product::<usize>();
        let (outer, inner) = (extents(&run[..place]), extents(&run[place + 1..]));
        let mut elements = Vec::with_capacity(outer * list.len() * inner);
        for before in 0..outer {
            for &element in list.iter() {
                for after in 0..inner {
                    let part = before * inner + after;
                    elements.push(self.ties.cut(element, part, outer * inner));
                }
            }
        }
        Some(self.ties.list(elements))
    }

    /// Axes in another order, repeated, or every so many elements of them.
    fn viewed(
        &mut self,
        x: &[Axis],
        mut offset: usize,
        strides: &[usize],
        to: &[usize],
    ) -> Option<Value> {
        let mut rows = vec![1; x.len()];
        for axis in (1..x.len()).rev() {
            rows[axis - 1] = rows[axis] * x[axis].extent();
        }
        let mut starts = vec![0; x.len()];
        for (start, row) in starts.iter_mut().zip(&rows) {
            *start = offset.checked_div(*row)?;
            offset %= row;
        }
        let mut used = vec![false; x.len()];
        let mut result = Vec::with_capacity(to.len());
        for (&extent, &stride) in to.iter().zip(strides) {
            if extent == 1 || stride == 0 {
                result.push(Axis::Fixed(extent));
                continue;
            }
            let axis = (0..x.len()).find(|&axis| {
                x[axis].extent() > 1 && stride >= rows[axis] && stride.is_multiple_of(rows[axis])
            })?;
            let step = stride / rows[axis];
            let last = starts[axis] + step.checked_mul(extent - 1)?;
            if last >= x[axis].extent() || std::mem::replace(&mut used[axis], true) {
                return None;
            }
            result.push(match &x[axis] {
                Axis::Fixed(_) => Axis::Fixed(extent),
                whole @ Axis::Listed(list) if list.len() == extent => whole.clone(),
                Axis::Listed(list) => {
                    let kept = list[starts[axis]..=last].iter().step_by(step);
                    self.ties.list(kept.copied().collect())
                }
            });
        }
        // Of an axis that is gone, one place was read.
        for (axis, _) in x.iter().zip(&used).filter(|&(_, &used)| !used) {
            self.ties.freeze(axis);
        }
        Some(result)
    }
}

fn fixed(shape: &[usize]) -> Value {
    shape.iter().map(|&extent| Axis::Fixed(extent)).collect()
}
