//! Where the channels that a node reads were made. After a concatenation, a split or a channel
//! shuffle, the number of a channel says nothing of what it holds; its maker and its number there
//! do. A weight's patches follow the makers, so that a layer that reads several others is written
//! like several layers that read one each.

use std::collections::HashMap;

use crate::{
    encoder::{flattened_image, flattened_positions},
    graph::{Architecture, NodeIndex, Operand},
    kernels::Step,
    ops::Registry,
};

/// The node that made a channel (`None`: an input of the graph), and the channel's number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    /// A node with weights, or one that mixes channels in a way that has no number.
    pub node: Option<NodeIndex>,
    /// Channel of its result.
    pub channel: usize,
}

/// What every node computes, as far as it is known, to follow channels through the graph.
#[derive(Debug)]
pub struct Sources<'a> {
    architecture: &'a Architecture,
    steps: Vec<Option<Step>>,
}

/// One element of a value.
struct Element {
    operand: Operand,
    coordinates: Vec<usize>,
}

impl<'a> Sources<'a> {
    /// Of an architecture with known shapes.
    pub fn new(architecture: &'a Architecture, registry: &Registry) -> Self {
        let steps = (0..architecture.dag.node_count())
            .map(|index| {
                let node = architecture.dag.node_weight(NodeIndex::new(index))?;
                registry.step(architecture, node)
            })
            .collect();
        Self { architecture, steps }
    }

    fn step(&self, node: NodeIndex) -> Option<&Step> {
        self.steps.get(node.index())?.as_ref()
    }

    /// Whether a node is a convolution that keeps channels apart.
    pub fn is_depthwise(&self, node: NodeIndex) -> bool {
        let channels = |operand: Option<&Operand>| self.shape(*operand?)?.get(1).copied();
        let inputs = self.architecture.dag.node_weight(node).map(|node| &node.inputs);
        let Some(Step::Conv2d { groups, .. }) = self.step(node) else { return false };
        let read = inputs.and_then(|inputs| channels(inputs.first()));
        let made = channels(Some(&Operand::Node { node, slot: 0 }));
        *groups > 1 && read == Some(*groups) && made == Some(*groups)
    }

    /// The sources of the channels of a node's first input: of the last axis for maps over features,
    /// of the second for images. `None` where that is not known or a channel has several places, unless
    /// they are all positions of an image that was flattened for a linear map.
    pub fn of_input(&self, node: NodeIndex) -> Option<Vec<Source>> {
        let operand = *self.architecture.dag.node_weight(node)?.inputs.first()?;
        let shape = self.shape(operand)?;
        let axis = match self.step(node)? {
            Step::Conv2d { .. } | Step::BatchNorm { .. } | Step::GroupNorm { .. } => 1,
            Step::Linear { .. } | Step::LayerNorm { .. } => shape.len().checked_sub(1)?,
            _ => return None,
        };
        let sources = (0..*shape.get(axis)?)
            .map(|channel| {
                let mut coordinates = vec![0; shape.len()];
                coordinates[axis] = channel;
                self.trace(Element { operand, coordinates })
            })
            .collect::<Option<Vec<_>>>()?;
        let mut places: HashMap<Source, usize> = HashMap::new();
        sources.iter().for_each(|source| *places.entry(*source).or_default() += 1);
        // Of the graph's own input, which no layer has looked at, every position says something else.
        let is_made = sources.iter().all(|source| source.node.is_some());
        let each = match self.step(node)? {
            Step::Linear { .. } if is_made => flattened_positions(self.architecture, operand),
            _ => 1,
        };
        places.values().all(|&count| count == each).then_some(sources)
    }

    /// Height and width of the image that a linear map reads position by position, after it was flattened.
    pub fn flattened_by(&self, node: NodeIndex) -> Option<[usize; 2]> {
        matches!(self.step(node)?, Step::Linear { .. }).then_some(())?;
        let operand = *self.architecture.dag.node_weight(node)?.inputs.first()?;
        flattened_image(self.architecture, operand)
    }

    fn shape(&self, operand: Operand) -> Option<Vec<usize>> {
        match operand {
            Operand::Node { node, slot } => {
                self.architecture.dag.node_weight(node)?.outputs.get(slot)?.shape.clone()
            }
            _ => self.architecture.fact(operand)?.shape,
        }
    }

    /// Follows an element to where it was made.
    fn trace(&self, mut element: Element) -> Option<Source> {
        // The graph has no cycles, so no way is longer than its nodes.
        for _ in 0..=self.architecture.dag.node_count() {
            let Operand::Node { node, slot } = element.operand else {
                let shape = self.shape(element.operand)?;
                return Some(Source { node: None, channel: channel(&shape, &element.coordinates) });
            };
            match self.before(node, slot, &element.coordinates) {
                Some(earlier) => element = earlier,
                None => {
                    let shape = self.shape(element.operand)?;
                    let channel = channel(&shape, &element.coordinates);
                    return Some(Source { node: Some(node), channel });
                }
            }
        }
        None
    }

    /// The element of an input that an element of a result carries on; `None` where the node makes
    /// its channels.
    fn before(&self, node: NodeIndex, slot: usize, at: &[usize]) -> Option<Element> {
        let inputs = &self.architecture.dag.node_weight(node)?.inputs;
        let result = self.shape(Operand::Node { node, slot })?;
        let same = |operand: Operand| {
            let shape = self.shape(operand)?;
            (shape == result).then(|| Element { operand, coordinates: at.to_vec() })
        };
        let first = *inputs.first()?;
        match self.step(node)? {
            Step::Identity
            | Step::Activation(_)
            | Step::BatchNorm { .. }
            | Step::GroupNorm { .. }
            | Step::LayerNorm { .. }
            | Step::Softmax { .. } => same(first),
            // Of what is added, what was made last: the branch and not the stream.
            Step::Add | Step::Sub | Step::Mul | Step::Scale { .. } => inputs
                .iter()
                .filter(|operand| matches!(operand, Operand::Node { .. } | Operand::Input(_)))
                .filter_map(|&operand| same(operand))
                .max_by_key(|element| self.position(element.operand)),
            Step::Concat { axis } => {
                let mut coordinates = at.to_vec();
                for &operand in inputs {
                    let extent = *self.shape(operand)?.get(*axis)?;
                    if coordinates[*axis] < extent {
                        return Some(Element { operand, coordinates });
                    }
                    coordinates[*axis] -= extent;
                }
                None
            }
            Step::Split { axis } => {
                let mut coordinates = at.to_vec();
                for earlier in 0..slot {
                    let part = self.shape(Operand::Node { node, slot: earlier })?;
                    coordinates[*axis] += part.get(*axis)?;
                }
                Some(Element { operand: first, coordinates })
            }
            Step::Conv2d { .. } if !self.is_depthwise(node) => None,
            Step::Conv2d { .. }
            | Step::MaxPool { .. }
            | Step::AveragePool { .. }
            | Step::AdaptivePool
            | Step::GlobalMaxPool => window(first, &self.shape(first)?, at),
            Step::Mean { reduced } => {
                let mut kept = at.iter().copied();
                let keeps = at.len() == reduced.len();
                let coordinates = reduced
                    .iter()
                    .map(|&reduced| match (reduced, keeps) {
                        (true, false) => Some(0),
                        (true, true) => kept.next().map(|_| 0),
                        (false, _) => kept.next(),
                    })
                    .collect::<Option<_>>()?;
                Some(Element { operand: first, coordinates })
            }
            Step::Reshape => {
                let number = number(&result, at);
                let coordinates = coordinates(&self.shape(first)?, number)?;
                Some(Element { operand: first, coordinates })
            }
            Step::View { offset, strides } => {
                let distance = at.iter().zip(strides).map(|(index, stride)| index * stride);
                let number = offset + distance.sum::<usize>();
                let coordinates = coordinates(&self.shape(first)?, number)?;
                Some(Element { operand: first, coordinates })
            }
            // Rows of the second operand are mixed, its columns stay what they are.
            Step::MatMul => {
                let second = *inputs.get(1)?;
                let from = self.shape(second)?;
                let mut coordinates = at.to_vec();
                let row = at.len().checked_sub(2)?;
                coordinates[row] = 0;
                (from.len() == at.len() && from[..row] == result[..row])
                    .then_some(Element { operand: second, coordinates })
            }
            Step::Linear { .. } => None,
        }
    }

    /// Position in the file of what makes a value; inputs come first.
    fn position(&self, operand: Operand) -> Option<usize> {
        match operand {
            Operand::Node { node, .. } => {
                self.architecture.dag.node_weight(node).map(|node| node.position)
            }
            _ => None,
        }
    }
}

/// The first element of a window over an image: only its channel matters.
fn window(operand: Operand, from: &[usize], at: &[usize]) -> Option<Element> {
    let mut coordinates = vec![0; from.len()];
    *coordinates.get_mut(1)? = *at.get(1)?;
    Some(Element { operand, coordinates })
}

/// The channel of an element: along the last axis of tokens, the second of all else.
fn channel(shape: &[usize], at: &[usize]) -> usize {
    match (shape.len(), at) {
        (3, &[.., last]) => last,
        (_, &[_, second, ..]) => second,
        (_, at) => at.last().copied().unwrap_or(0),
    }
}

fn number(shape: &[usize], at: &[usize]) -> usize {
    shape.iter().zip(at).fold(0, |number, (extent, index)| number * extent + index)
}

fn coordinates(shape: &[usize], mut number: usize) -> Option<Vec<usize>> {
    let mut at = vec![0; shape.len()];
    for (index, &extent) in at.iter_mut().zip(shape).rev() {
        *index = number.checked_rem(extent)?;
        number /= extent;
    }
    (number == 0).then_some(at)
}
