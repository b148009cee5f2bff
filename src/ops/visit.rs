//! One node of an architecture: its shapes, and the uses of the parameters that it reads.

use crate::graph::{
    Architecture, Constant, DType, Fact, Layout, Node, NodeIndex, Operand, ParameterId, Role, Slot,
};

use burn::tensor::Device;

use super::{Array, OpError, Operator, Passage, Registry, SlotRule, helpers::folds, infer};

/// Longest chain of renaming nodes between a parameter and its reader.
const LONGEST_CHAIN: usize = 16;

/// A node or tensor that is malformed: not merely unsupported.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{node}: {problem}")]
pub struct ResolveError {
    /// The node or tensor.
    pub node: String,
    /// What is wrong with it.
    pub problem: OpError,
}

/// Understands one node; says why not, if it is merely unsupported.
pub(super) fn visit(
    architecture: &mut Architecture,
    registry: &Registry,
    index: NodeIndex,
) -> Result<Option<String>, ResolveError> {
    let description = architecture.describe(index);
    let failed = |problem| ResolveError { node: description.clone(), problem };
    let node = &architecture.dag[index];
    let declared: Vec<Fact> = node
        .outputs
        .iter()
        .map(|output| {
            let fact = architecture.declared.get(&output.name).cloned();
            fact.unwrap_or(Fact { name: output.name.clone(), ..Fact::default() })
        })
        .collect();
    let operator = registry.find(node);
    architecture.dag[index].outputs = declared;
    let operator = match operator {
        Ok(operator) => operator,
        Err(refusal) => return Ok(Some(sentence(refusal))),
    };
    let facts = operands(architecture, index);
    let rules = match operator.slots(&architecture.dag[index], &facts) {
        Ok(rules) => rules,
        Err(refusal @ OpError::Unsupported(_)) => return Ok(Some(sentence(refusal))),
        Err(source) => return Err(failed(source)),
    };
    // An addition, as against a normalisation that has a shift.
    let adds = rules.iter().all(|rule| matches!(rule.role, Role::Shift | Role::Free));
    let bias = adds && follows_weight(architecture, registry, index);
    for mut rule in rules {
        if bias && rule.role == Role::Shift {
            rule.role = Role::Bias;
        }
        match assign(architecture, registry, index, rule) {
            Ok(()) => {}
            Err(refusal @ OpError::Unsupported(_)) => return Ok(Some(sentence(refusal))),
            Err(source) => return Err(failed(source)),
        }
    }
    let facts = operands(architecture, index);
    match infer(operator, &architecture.dag[index], &facts) {
        Ok(inferred) => {
            let inferred = fold(operator, &architecture.dag[index], &facts, inferred);
            for fact in inferred {
                merge(architecture, index, fact).map_err(failed)?;
            }
            Ok(None)
        }
        Err(refusal @ OpError::Unsupported(_)) => Ok(Some(sentence(refusal))),
        Err(source) => Err(failed(source)),
    }
}

/// Computes what follows from constants alone, where it is small: values that no rule of the
/// operator knows come from running it.
fn fold(
    operator: &dyn Operator,
    node: &Node,
    inputs: &[Option<Fact>],
    facts: Vec<Fact>,
) -> Vec<Fact> {
    let small = |fact: &Fact| fact.shape.as_deref().is_none_or(folds);
    let open = facts.iter().any(|fact| fact.value.is_none()) && facts.iter().all(small);
    let values: Option<Vec<Option<&Constant>>> = inputs
        .iter()
        .zip(&node.inputs)
        .map(|(fact, operand)| match operand {
            Operand::Absent => Some(None),
            _ => fact.as_ref()?.value.as_ref().map(Some),
        })
        .collect();
    let Some(values) = values.filter(|values| open && !values.is_empty()) else { return facts };
    let device = Device::flex();
    let arrays: Vec<Option<Array>> = values
        .into_iter()
        .map(|value| value.map(|value| Array::constant(value, &device)))
        .collect();
    // What cannot be computed now is refused when the graph runs.
    let Ok(results) = operator.execute(node, &arrays, &device) else { return facts };
    let with_value = |(fact, result): (Fact, Array)| match folds(result.shape()) {
        true => {
            let shape = Some(result.shape().to_vec());
            let dtype = fact.dtype.or(result.fact().dtype);
            Fact { dtype, shape, value: Some(result.into_constant()), ..fact }
        }
        false => fact,
    };
    facts.into_iter().zip(results).map(with_value).collect()
}

fn sentence(refusal: OpError) -> String {
    match refusal {
        OpError::Unsupported(why) => why,
        other => other.to_string(),
    }
}

/// Gives a rule's slot to the parameter that stands in its input, if one does. Weights are floats.
fn assign(
    architecture: &mut Architecture,
    registry: &Registry,
    node: NodeIndex,
    rule: SlotRule,
) -> Result<(), OpError> {
    let operand = architecture.dag[node].inputs.get(rule.input);
    let Some(behind) = operand.and_then(|&operand| behind(architecture, registry, operand)) else {
        return Ok(());
    };
    let layout = match (rule.layout, behind.transposed) {
        (Layout::OutIn, true) => Layout::InOut,
        (Layout::InOut, true) => Layout::OutIn,
        (layout, _) => layout,
    };
    let parameter = &mut architecture.parameters[behind.parameter.0];
    if !parameter.dtype.is_float() {
        let problem = format!("tensor '{}' holds {}, not floats", parameter.name, parameter.dtype);
        return Err(match parameter.dtype {
            DType::Other(DType::STRING) => OpError::Input { input: rule.input, problem },
            _ => OpError::Unsupported(problem),
        });
    }
    if parameter.shape.is_none() && behind.view.is_none() {
        parameter.shape = rule.shape.map(|mut shape| {
            if behind.transposed {
                shape.reverse();
            }
            shape
        });
    }
    let fan_in = rule.fan_in.unwrap_or_else(|| {
        parameter.shape.as_ref().map_or(1, |shape| shape.iter().skip(1).product())
    });
    let SlotRule { input, role, groups, .. } = rule;
    let view = behind.view;
    if parameter.slots.is_empty() {
        parameter.module.clone_from(&architecture.dag[node].module);
    }
    parameter.slots.push(Slot { node, input, role, layout, groups, fan_in, view });
    Ok(())
}

/// Replaces what is declared about an output by what was inferred; they must not disagree.
fn merge(architecture: &mut Architecture, index: NodeIndex, fact: Fact) -> Result<(), OpError> {
    let outputs = &mut architecture.dag[index].outputs;
    let Some(output) = outputs.iter_mut().find(|output| output.name == fact.name) else {
        return Ok(());
    };
    if let (Some(declared), Some(inferred)) = (&output.shape, &fact.shape) {
        // Unbound symbols were taken as 1, so a declared 1 says nothing.
        let agree = declared.len() == inferred.len()
            && declared
                .iter()
                .zip(inferred)
                .all(|(&declared, &inferred)| declared == inferred || declared == 1);
        if !agree {
            return Err(OpError::Unsupported(format!(
                "the file declares shape {declared:?} for '{}', the operator computes {inferred:?}",
                output.name
            )));
        }
    }
    output.dtype = fact.dtype.or(output.dtype);
    output.shape = fact.shape.or(output.shape.take());
    output.value = fact.value;
    Ok(())
}

pub(super) fn operands(architecture: &Architecture, index: NodeIndex) -> Vec<Option<Fact>> {
    architecture.dag[index].inputs.iter().map(|&operand| architecture.fact(operand)).collect()
}

/// A parameter seen through nodes that only hand it on.
struct Behind {
    parameter: ParameterId,
    /// Whether it is a matrix whose axes are swapped on the way.
    transposed: bool,
    /// Its extents before that, if they are not those it is stored with.
    view: Option<Vec<usize>>,
}

fn behind(architecture: &Architecture, registry: &Registry, operand: Operand) -> Option<Behind> {
    let (mut operand, mut transposed, mut view) = (operand, false, None);
    for _ in 0..LONGEST_CHAIN {
        match operand {
            Operand::Parameter(parameter) => {
                return Some(Behind { parameter, transposed, view });
            }
            Operand::Node { node, slot: 0 } => {
                let node = &architecture.dag[node];
                let from = architecture.fact(*node.inputs.first()?)?.shape;
                match registry.find(node).ok()?.passage(node)? {
                    Passage::Transposed => {
                        // Matrices only, and no reshape of what was transposed.
                        let matrix = from.is_none_or(|shape| shape.len() <= 2);
                        (matrix && view.is_none()).then_some(())?;
                        transposed = !transposed;
                    }
                    Passage::Same => {
                        let to = node.outputs.first()?.shape.clone();
                        if view.is_none() && from != to {
                            view = Some(to?);
                        }
                    }
                }
                operand = *node.inputs.first()?;
            }
            _ => return None,
        }
    }
    None
}

/// Whether a node adds to the result of a linear map that has no bias of its own.
fn follows_weight(architecture: &Architecture, registry: &Registry, index: NodeIndex) -> bool {
    architecture.dag[index].inputs.iter().any(|operand| {
        let Operand::Node { node: producer, .. } = operand else { return false };
        let node = &architecture.dag[*producer];
        let facts = operands(architecture, *producer);
        let rules = registry.find(node).and_then(|operator| operator.slots(node, &facts));
        let learns = |role: Role| {
            rules.as_deref().unwrap_or_default().iter().any(|rule| {
                let operand = node.inputs.get(rule.input);
                rule.role == role
                    && operand.is_some_and(|&it| behind(architecture, registry, it).is_some())
            })
        };
        learns(Role::Weight) && !learns(Role::Bias)
    })
}
