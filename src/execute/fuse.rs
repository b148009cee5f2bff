//! From the nodes of an architecture to kernel instructions, merging what one pass can do.

use crate::{
    graph::{Architecture, Operand, ParameterId},
    kernels::{Activation, Step},
    ops::Registry,
};

use super::NotLowered;

/// Channels, height and width of a value; the batch is left to each run.
pub(super) type Extent = [usize; 3];

/// What feeds an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A value computed before; 0 is the images.
    Value(usize),
    /// A weight.
    Parameter(ParameterId),
}

/// One kernel invocation.
#[derive(Clone, Debug)]
pub(super) struct Instruction {
    pub step: Step,
    /// A non-linearity applied to the result of a normalisation in the same pass.
    pub activation: Option<Activation>,
    pub sources: Vec<Source>,
    pub output: usize,
}

/// Instructions in order, extents of all values, and the value that is returned.
#[derive(Debug)]
pub(super) struct Lowered {
    pub instructions: Vec<Instruction>,
    pub extents: Vec<Extent>,
    pub result: usize,
}

/// Lowers every node that the outputs need; the first is the result.
pub(super) fn lower(
    architecture: &Architecture,
    registry: &Registry,
) -> Result<Lowered, NotLowered> {
    let refuse = |what: String| NotLowered(what);
    let input = architecture
        .inputs
        .first()
        .and_then(|input| extent(input.shape.as_deref()))
        .ok_or_else(|| refuse("the graph does not read one batch of images".to_owned()))?;
    let mut extents = vec![input];
    let mut instructions: Vec<Instruction> = Vec::new();
    // Value of each node's first output, once known.
    let mut value_of = vec![None; architecture.dag.node_count()];
    for &index in &needed(architecture) {
        let node = &architecture.dag[index];
        let facts: Vec<_> = node.inputs.iter().map(|&operand| architecture.fact(operand)).collect();
        let step = registry
            .get(&node.domain, &node.op_type)
            .and_then(|operator| operator.lower(node, &facts))
            .ok_or_else(|| refuse(architecture.describe(index)))?;
        let unsupported = || refuse(format!("an operand of {}", architecture.describe(index)));
        let mut sources = Vec::with_capacity(node.inputs.len());
        for operand in &node.inputs {
            sources.push(match *operand {
                Operand::Absent | Operand::Constant(_) => continue,
                Operand::Input(0) => Source::Value(0),
                Operand::Input(_) => return Err(unsupported()),
                Operand::Parameter(id) => Source::Parameter(id),
                Operand::Node { node, slot: 0 } => match value_of[node.index()] {
                    Some(value) => Source::Value(value),
                    // Statically folded, such as the target of a Reshape.
                    None => continue,
                },
                Operand::Node { .. } => return Err(unsupported()),
            });
        }
        let shape = node.outputs.first().and_then(|output| extent(output.shape.as_deref()));
        let shape = shape
            .ok_or_else(|| refuse(format!("the shape of {}", architecture.describe(index))))?;
        let Some(&Source::Value(first)) = sources.first() else { return Err(unsupported()) };
        // Flattening planes of one pixel moves nothing.
        let flat = matches!(step, Step::Flatten) && extents[first][1..] == [1, 1];
        let value = if matches!(step, Step::Identity) || flat {
            first
        } else {
            extents.push(shape);
            let output = extents.len() - 1;
            instructions.push(Instruction { step, activation: None, sources, output });
            output
        };
        value_of[index.index()] = Some(value);
    }
    let result = match architecture.outputs.first() {
        Some((_, Operand::Node { node, slot: 0 })) => value_of[node.index()],
        _ => None,
    };
    let result = result.ok_or_else(|| refuse("the output of the graph".to_owned()))?;
    let mut lowered = Lowered { instructions, extents, result };
    lowered.merge_silu();
    lowered.merge_activations();
    Ok(lowered)
}

impl Lowered {
    fn uses(&self) -> Vec<usize> {
        let mut uses = vec![0; self.extents.len()];
        uses[self.result] += 1;
        for source in self.instructions.iter().flat_map(|instruction| &instruction.sources) {
            if let Source::Value(value) = source {
                uses[*value] += 1;
            }
        }
        uses
    }

    fn producer(&self, value: usize) -> Option<usize> {
        self.instructions.iter().position(|instruction| instruction.output == value)
    }

    /// x · sigmoid(x), as PyTorch exports SiLU, becomes one activation.
    fn merge_silu(&mut self) {
        let uses = self.uses();
        let mut dead = Vec::new();
        for index in 0..self.instructions.len() {
            let &[Source::Value(a), Source::Value(b)] = self.instructions[index].sources.as_slice()
            else {
                continue;
            };
            if self.instructions[index].step != Step::Mul {
                continue;
            }
            for (x, gate) in [(a, b), (b, a)] {
                let Some(producer) = self.producer(gate) else { continue };
                let sigmoid = &self.instructions[producer];
                if uses[gate] == 1
                    && sigmoid.step == Step::Activation(Activation::Sigmoid)
                    && sigmoid.sources == [Source::Value(x)]
                {
                    dead.push(producer);
                    let product = &mut self.instructions[index];
                    product.step = Step::Activation(Activation::Silu);
                    product.sources = vec![Source::Value(x)];
                    break;
                }
            }
        }
        self.remove(dead);
    }

    /// A normalisation takes over the activation that is its only reader.
    fn merge_activations(&mut self) {
        let uses = self.uses();
        let mut dead = Vec::new();
        for index in 0..self.instructions.len() {
            let Step::Activation(activation) = self.instructions[index].step else { continue };
            let &[Source::Value(input)] = self.instructions[index].sources.as_slice() else {
                continue;
            };
            let Some(producer) = self.producer(input).filter(|_| uses[input] == 1) else {
                continue;
            };
            let norm = &mut self.instructions[producer];
            let normalises = matches!(norm.step, Step::BatchNorm { .. } | Step::GroupNorm { .. });
            if normalises && norm.activation.is_none() {
                norm.activation = Some(activation);
                let output = self.instructions[index].output;
                self.instructions[producer].output = output;
                dead.push(index);
            }
        }
        self.remove(dead);
    }

    fn remove(&mut self, dead: Vec<usize>) {
        let mut index = 0;
        self.instructions.retain(|_| {
            index += 1;
            !dead.contains(&(index - 1))
        });
    }
}

/// Nodes that the outputs need and that are not folded statically, in order.
fn needed(architecture: &Architecture) -> Vec<crate::graph::NodeIndex> {
    let mut wanted = vec![false; architecture.dag.node_count()];
    let mut stack: Vec<Operand> =
        architecture.outputs.iter().map(|(_, operand)| *operand).collect();
    while let Some(operand) = stack.pop() {
        let Operand::Node { node, .. } = operand else { continue };
        let folded = architecture.dag[node].outputs.iter().all(|output| output.value.is_some());
        if !wanted[node.index()] && !folded {
            wanted[node.index()] = true;
            stack.extend(&architecture.dag[node].inputs);
        }
    }
    architecture.order.iter().copied().filter(|node| wanted[node.index()]).collect()
}

fn extent(shape: Option<&[usize]>) -> Option<Extent> {
    match shape? {
        [_, channels] => Some([*channels, 1, 1]),
        [_, channels, height, width] => Some([*channels, *height, *width]),
        _ => None,
    }
}
