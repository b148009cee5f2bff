//! Shapes, roles and support of a whole architecture.

use std::collections::HashMap;

use crate::graph::{
    Architecture, Constant, DType, Fact, Layout, Node, NodeIndex, Operand, Origin, ParameterId, Slot,
};

use super::{NEWEST_OPSET, OpError, Registry};

/// A node that is malformed: not merely unsupported.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{node}: {source}")]
pub struct ResolveError {
    /// The node.
    pub node: String,
    /// What is wrong with it.
    pub source: OpError,
}

/// A node that this tool does not understand or cannot run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// The node.
    pub node: NodeIndex,
    /// Why, as a sentence for the user.
    pub why: String,
}

/// What resolving found.
#[derive(Clone, Debug, Default)]
pub struct Resolution {
    /// Nodes that are not supported, in order.
    pub unsupported: Vec<Unsupported>,
}

/// Infers shapes and types of all values, gives every parameter its uses, and turns tensors that
/// no operator learns into constants. Values behind unsupported nodes keep what the file declares.
pub fn resolve(architecture: &mut Architecture, registry: &Registry) -> Result<Resolution, ResolveError> {
    let mut resolution = Resolution::default();
    demote(architecture, registry);
    for parameter in &mut architecture.parameters {
        parameter.slots.clear();
    }
    for index in architecture.order.clone() {
        if let Some(why) = visit(architecture, registry, index)? {
            resolution.unsupported.push(Unsupported { node: index, why });
        }
    }
    Ok(resolution)
}

/// As [`resolve`], with another shape of the first input: another batch or image size. The shapes
/// that the file declares are dropped, since they may depend on it.
pub fn resolve_with_input(
    architecture: &mut Architecture,
    shape: &[usize],
    registry: &Registry,
) -> Result<Resolution, ResolveError> {
    if let Some(input) = architecture.inputs.first_mut() {
        input.shape = Some(shape.to_vec());
    }
    architecture.declared.clear();
    resolve(architecture, registry)
}

/// Understands one node; says why not, if it is merely unsupported.
fn visit(
    architecture: &mut Architecture,
    registry: &Registry,
    index: NodeIndex,
) -> Result<Option<String>, ResolveError> {
    let description = architecture.describe(index);
    let failed = |source| ResolveError { node: description.clone(), source };
    let node = &architecture.dag[index];
    let declared: Vec<Fact> = node
        .outputs
        .iter()
        .map(|output| {
            let fact = architecture.declared.get(&output.name).cloned();
            fact.unwrap_or(Fact { name: output.name.clone(), ..Fact::default() })
        })
        .collect();
    let why = unsupported(registry, node);
    let operator = registry.get(&node.domain, &node.op_type);
    let (None, Some(operator)) = (&why, operator) else {
        architecture.dag[index].outputs = declared;
        return Ok(why);
    };
    architecture.dag[index].outputs = declared;
    let mut facts = operands(architecture, index);
    let rules = match operator.slots(&architecture.dag[index], &facts) {
        Ok(rules) => rules,
        Err(OpError::Unsupported(why)) => return Ok(Some(why)),
        Err(source) => return Err(failed(source)),
    };
    for rule in rules {
        let Some(&operand) = architecture.dag[index].inputs.get(rule.input) else { continue };
        let Some((id, transposed)) = behind(architecture, operand) else { continue };
        let direct = matches!(operand, Operand::Parameter(_));
        let follows_product = rule.role == crate::graph::Role::Shift && follows_matmul(architecture, index);
        let parameter = &mut architecture.parameters[id.0];
        if parameter.shape.is_none() && direct {
            parameter.shape = rule.shape;
        }
        let layout = match (rule.layout, transposed) {
            (Layout::OutIn, true) => Layout::InOut,
            (Layout::InOut, true) => Layout::OutIn,
            (layout, _) => layout,
        };
        let fan_in = rule.fan_in.unwrap_or_else(|| {
            parameter.shape.as_ref().map_or(1, |shape| shape.iter().skip(1).product())
        });
        let role = if follows_product { crate::graph::Role::Bias } else { rule.role };
        parameter.slots.push(Slot { node: index, input: rule.input, role, layout, groups: rule.groups, fan_in });
    }
    facts = operands(architecture, index);
    let node = &architecture.dag[index];
    match operator.infer(node, &facts) {
        Ok(inferred) => {
            for fact in inferred {
                merge(architecture, index, fact).map_err(failed)?;
            }
            Ok(None)
        }
        Err(OpError::Unsupported(why)) => Ok(Some(why)),
        Err(source) => Err(failed(source)),
    }
}

/// Replaces what is declared about an output by what was inferred; they must not disagree.
fn merge(architecture: &mut Architecture, index: NodeIndex, fact: Fact) -> Result<(), OpError> {
    let outputs = &mut architecture.dag[index].outputs;
    let Some(output) = outputs.iter_mut().find(|output| output.name == fact.name) else { return Ok(()) };
    if let (Some(declared), Some(inferred)) = (&output.shape, &fact.shape) {
        // Unbound symbols were taken as 1, so a declared 1 says nothing.
        let agree = declared.len() == inferred.len()
            && declared.iter().zip(inferred).all(|(&declared, &inferred)| declared == inferred || declared == 1);
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

fn operands(architecture: &Architecture, index: NodeIndex) -> Vec<Option<Fact>> {
    architecture.dag[index].inputs.iter().map(|&operand| architecture.fact(operand)).collect()
}

/// Why a node is not in the table.
fn unsupported(registry: &Registry, node: &Node) -> Option<String> {
    let known = registry.get(&node.domain, &node.op_type);
    let name = if node.domain.is_empty() {
        format!("operator {}", node.op_type)
    } else {
        format!("operator {} of domain '{}'", node.op_type, node.domain)
    };
    match known {
        None if matches!(node.op_type.as_str(), "If" | "Loop" | "Scan") => {
            Some(format!("{name}: control flow is not supported; export a graph without it"))
        }
        None if node.op_type.contains("uantize") || node.op_type.contains("QLinear") || node.op_type.ends_with("Integer") => {
            Some(format!("{name}: quantised networks are not supported; export in floating point"))
        }
        None => Some(format!("{name} is not supported")),
        Some(operator) if node.domain.is_empty() => {
            let first = operator.since().first().copied().unwrap_or(1);
            if node.opset < first {
                Some(format!("{name} exists from opset {first} on, the file imports {}", node.opset))
            } else if node.opset > NEWEST_OPSET {
                let newest = NEWEST_OPSET;
                Some(format!("{name}: opset {} is newer than {newest}", node.opset))
            } else {
                None
            }
        }
        Some(_) => None,
    }
}

/// The parameter behind an operand, through operators that only rename, and whether its last two
/// axes are swapped on the way.
fn behind(architecture: &Architecture, mut operand: Operand) -> Option<(ParameterId, bool)> {
    let mut transposed = false;
    for _ in 0..16 {
        match operand {
            Operand::Parameter(id) => return Some((id, transposed)),
            Operand::Node { node, slot: 0 } => {
                let node = &architecture.dag[node];
                match node.op_type.as_str() {
                    "Transpose" => {
                        let swap = node.attributes.ints("perm").ok()?.is_none_or(|perm| perm == [1, 0]);
                        swap.then_some(())?;
                        transposed = !transposed;
                    }
                    "Identity" | "Cast" | "Reshape" | "Squeeze" | "Unsqueeze" | "Flatten" => {}
                    _ => return None,
                }
                operand = *node.inputs.first()?;
            }
            _ => return None,
        }
    }
    None
}

/// Whether an Add adds to a matrix product.
fn follows_matmul(architecture: &Architecture, index: NodeIndex) -> bool {
    architecture.dag[index].inputs.iter().any(|operand| match operand {
        Operand::Node { node, .. } => architecture.dag[*node].op_type == "MatMul",
        _ => false,
    })
}

/// Turns small float tensors that no operator could learn into constants.
fn demote(architecture: &mut Architecture, registry: &Registry) {
    let mut learnable = vec![false; architecture.parameters.len()];
    let mut known = vec![true; architecture.parameters.len()];
    for &index in &architecture.order {
        let node = &architecture.dag[index];
        let facts = operands(architecture, index);
        let operator = registry.get(&node.domain, &node.op_type);
        let slots = operator.map(|operator| operator.slots(node, &facts).unwrap_or_default());
        let renames = ["Transpose", "Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten"];
        for (input, operand) in node.inputs.iter().enumerate() {
            let Operand::Parameter(id) = operand else { continue };
            match &slots {
                None => known[id.0] = false,
                Some(_) if renames.contains(&node.op_type.as_str()) => learnable[id.0] = true,
                Some(slots) => learnable[id.0] |= slots.iter().any(|slot| slot.input == input),
            }
        }
    }
    let mut constants = HashMap::new();
    for (index, parameter) in architecture.parameters.iter_mut().enumerate() {
        let stays = learnable[index] || !known[index] || parameter.origin == Origin::Undefined;
        if stays || parameter.dtype == DType::Other(0) {
            continue;
        }
        if let Some(value) = parameter.value.take() {
            architecture.constants.push((parameter.name.clone(), Constant::Float(value)));
            constants.insert(ParameterId(index), architecture.constants.len() - 1);
        }
    }
    if constants.is_empty() {
        return;
    }
    let replace = |operand: &mut Operand| {
        if let Operand::Parameter(id) = operand
            && let Some(&constant) = constants.get(id)
        {
            *operand = Operand::Constant(constant);
        }
    };
    for index in architecture.dag.node_indices().collect::<Vec<_>>() {
        architecture.dag[index].inputs.iter_mut().for_each(replace);
    }
    // Indices of the remaining parameters close up.
    let mut kept = Vec::new();
    let mut renumbered = Vec::new();
    for (index, parameter) in std::mem::take(&mut architecture.parameters).into_iter().enumerate() {
        renumbered.push(ParameterId(kept.len()));
        if !constants.contains_key(&ParameterId(index)) {
            kept.push(parameter);
        }
    }
    architecture.parameters = kept;
    for index in architecture.dag.node_indices().collect::<Vec<_>>() {
        for operand in &mut architecture.dag[index].inputs {
            if let Operand::Parameter(id) = operand {
                *id = renumbered[id.0];
            }
        }
    }
    for (_, operand) in &mut architecture.outputs {
        if let Operand::Parameter(id) = operand {
            *id = renumbered[id.0];
        }
    }
}
