//! How much can flow through the network, were everything positive and linear.

use std::collections::HashMap;

use crate::{
    execute::{Images, NormStatistics, Runner, Scratch},
    graph::{
        Architecture, Attributes, Constant, Fact, Node, NodeIndex, Operand, ParameterId, Role,
        Tensor, Weights,
    },
    ops::{Operator, OperatorFamily},
    rank::{Score, ScoreError, Subject},
};

use super::saliency;

struct Synflow;

impl Score for Synflow {
    fn name(&self) -> &'static str {
        "synflow"
    }

    fn about(&self) -> &'static str {
        "log Σ |weight · gradient| of the sum of logits for an image of ones and absolute weights, \
         norms and non-linearities left out, gates open (Tanaka et al. 2020)"
    }

    fn of(&self, subject: &Subject) -> Result<f64, ScoreError> {
        let flow = Flow::through(subject)?;
        let [channels, height, width] = subject.input()?;
        let data = vec![1.0; channels * height * width];
        let image = Images { batch: 1, channels, height, width, data: &data };
        let runner = Runner::new(&flow.architecture, &subject.registry);
        let loss = &mut |_: &[f32], seeds: &mut [f32]| {
            seeds.fill(1.0);
            0.0
        };
        let statistics = NormStatistics::Running;
        let scratch = &mut Scratch::default();
        let (_, gradients) =
            runner.gradients(&flow.weights, image, &statistics, loss, false, scratch)?;
        let total = saliency(&flow.architecture, &flow.weights, &gradients.parameters);
        Ok(total.ln() + f64::from(flow.exponent) * std::f64::consts::LN_2)
    }
}

/// The linear network. Its values would leave single precision after some dozen layers, so that
/// every value is kept divided by a power of two of its own. Σ |weight · gradient| does not see how
/// a factor is split between a weight and what it multiplies: only the power of the output counts.
struct Flow {
    architecture: Architecture,
    weights: Weights,
    exponent: i32,
}

impl Flow {
    fn through(subject: &Subject) -> Result<Self, ScoreError> {
        let mut architecture = subject.architecture.clone();
        let mut weights = subject.weights().clone();
        weights.values_mut().for_each(|value| *value = value.abs());
        let mut weight_of: HashMap<NodeIndex, ParameterId> = HashMap::new();
        for (index, parameter) in architecture.parameters.iter().enumerate() {
            for slot in parameter.slots.iter().filter(|slot| slot.role == Role::Weight) {
                weight_of.insert(slot.node, ParameterId(index));
            }
        }
        let mut powers: Vec<Option<i32>> = vec![None; weights.len()];
        let mut exponents: HashMap<NodeIndex, i32> = HashMap::new();
        let mut inserted: Vec<(NodeIndex, NodeIndex)> = Vec::new();
        let mut live = vec![false; architecture.dag.node_count()];
        subject.live.nodes.iter().for_each(|node| live[node.index()] = true);
        for &index in &subject.live.nodes {
            let data = data(&architecture, index, &live);
            let of = |operand: &Operand| match operand {
                Operand::Node { node, .. } => exponents.get(node).copied().unwrap_or(0),
                _ => 0,
            };
            let exponent = match kind(&architecture, index, subject, &live) {
                Kind::Skipped => {
                    let kept = open(&architecture, index, &data);
                    let node = &mut architecture.dag[index];
                    node.op_type = "Identity".to_owned();
                    node.domain.clear();
                    node.attributes = Attributes::default();
                    node.inputs.truncate(0);
                    node.inputs.extend(kept);
                    node.outputs.truncate(1);
                    kept.as_ref().map_or(0, of)
                }
                Kind::Joins => {
                    let most = data.iter().map(of).max().unwrap_or(0);
                    for slot in 0..architecture.dag[index].inputs.len() {
                        let operand = architecture.dag[index].inputs[slot];
                        let lacks = most - of(&operand);
                        if data.contains(&operand) && lacks > 0 {
                            let scaled = scale(&mut architecture, operand, -lacks);
                            architecture.dag[index].inputs[slot] =
                                Operand::Node { node: scaled, slot: 0 };
                            inserted.push((index, scaled));
                        }
                    }
                    most
                }
                Kind::Weighs => {
                    let own = data.first().map_or(0, of);
                    let power = weight_of.get(&index).map(|id| {
                        *powers[id.0].get_or_insert_with(|| {
                            shrink(weights.get_mut(*id).unwrap_or_default(), &architecture, index)
                        })
                    });
                    own + power.unwrap_or(0)
                }
                Kind::Passes => data.first().map_or(0, of),
                Kind::Unknown => {
                    let node = architecture.describe(index);
                    return Err(ScoreError::Unfit(format!("{node} has no linear counterpart")));
                }
            };
            exponents.insert(index, exponent);
        }
        for (before, new) in inserted {
            let at = architecture.order.iter().position(|node| *node == before).unwrap_or(0);
            architecture.order.insert(at, new);
        }
        let exponent = match architecture.outputs.first() {
            Some((_, Operand::Node { node, .. })) => exponents.get(node).copied().unwrap_or(0),
            _ => return Err(ScoreError::NotImages),
        };
        for (id, values) in weights.tensors_mut() {
            if matches!(architecture.parameters[id.0].role(), Some(Role::Bias | Role::Shift)) {
                values.fill(0.0);
            }
        }
        Ok(Self { architecture, weights, exponent })
    }
}

/// What becomes of an operator.
enum Kind {
    /// It hands its input on: norms, non-linearities and gates.
    Skipped,
    /// It puts several values together.
    Joins,
    /// It multiplies by weights.
    Weighs,
    /// It is linear, or as good as linear for positive values.
    Passes,
    /// None of these.
    Unknown,
}

fn kind(architecture: &Architecture, index: NodeIndex, subject: &Subject, live: &[bool]) -> Kind {
    let node = &architecture.dag[index];
    let family = subject.registry.find(node).map_or(OperatorFamily::Other, Operator::family);
    // Operands that are computed, rather than known or learned.
    let computed = |operand: &&Operand| match operand {
        Operand::Input(_) => true,
        Operand::Node { node, .. } => live[node.index()] || subject.live.constant[node.index()],
        _ => false,
    };
    let values = node.inputs.iter().filter(computed).count();
    match (family, node.op_type.as_str()) {
        (_, "Softmax" | "LogSoftmax") => Kind::Unknown,
        (OperatorFamily::Normalisation | OperatorFamily::Activation, _) => Kind::Skipped,
        (OperatorFamily::Convolution | OperatorFamily::Linear, _) if values == 1 => Kind::Weighs,
        (_, "Mul") if values > 1 => Kind::Skipped,
        (_, "Add" | "Sum" | "Concat") => Kind::Joins,
        (OperatorFamily::Pooling | OperatorFamily::Reduction | OperatorFamily::Shape, _)
        | (_, "Mul" | "Div" | "Identity" | "Dropout") => match values {
            1 => Kind::Passes,
            _ => Kind::Unknown,
        },
        _ => Kind::Unknown,
    }
}

/// The operands of a node that carry the flow.
fn data(architecture: &Architecture, index: NodeIndex, live: &[bool]) -> Vec<Operand> {
    let flows = |operand: &&Operand| match operand {
        Operand::Input(_) => true,
        Operand::Node { node, .. } => live[node.index()],
        _ => false,
    };
    architecture.dag[index].inputs.iter().filter(flows).copied().collect()
}

/// What passes an open gate: the operand of the shape of the result.
fn open(architecture: &Architecture, index: NodeIndex, data: &[Operand]) -> Option<Operand> {
    let shape = |operand: Operand| architecture.fact(operand).and_then(|fact| fact.shape);
    let own = shape(Operand::Node { node: index, slot: 0 });
    let whole = data.iter().find(|operand| shape(**operand) == own);
    whole.or(data.first()).copied()
}

/// Divides weights by the power of two nearest to what a layer multiplies sums of ones by.
fn shrink(weights: &mut [f32], architecture: &Architecture, index: NodeIndex) -> i32 {
    let shape = architecture.fact(Operand::Node { node: index, slot: 0 }).and_then(|it| it.shape);
    let outputs = match shape.as_deref() {
        Some([_, channels, _, _]) => *channels,
        Some([.., features]) => *features,
        _ => 1,
    };
    let sum: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
    let gain = sum / outputs.max(1) as f64;
    let power = if gain > 0.0 { gain.log2().round() as i32 } else { 0 };
    let factor = 2f32.powi(-power.clamp(-100, 100));
    weights.iter_mut().for_each(|weight| *weight *= factor);
    power.clamp(-100, 100)
}

/// A new node that multiplies by a power of two.
fn scale(architecture: &mut Architecture, operand: Operand, power: i32) -> NodeIndex {
    let fact = architecture.fact(operand).unwrap_or_default();
    let opset = match operand {
        Operand::Node { node, .. } => architecture.dag[node].opset,
        _ => crate::ops::NEWEST_OPSET,
    };
    let factor = Constant::Float(Tensor { shape: vec![], data: vec![2f32.powi(power)] });
    architecture.constants.push((String::new(), factor));
    let constant = Operand::Constant(architecture.constants.len() - 1);
    architecture.dag.add_node(Node {
        op_type: "Mul".to_owned(),
        opset: opset.max(7),
        inputs: vec![operand, constant],
        outputs: vec![Fact { name: String::new(), value: None, ..fact }],
        position: usize::MAX,
        ..Node::default()
    })
}

pub(in crate::rank) fn scores() -> Vec<Box<dyn Score>> {
    vec![Box::new(Synflow)]
}
