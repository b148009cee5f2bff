//! Shapes, roles and support of a whole architecture.

use std::collections::HashMap;

use crate::graph::{
    Architecture, Constant, DType, NodeIndex, Operand, Origin, Parameter, ParameterId, Slot,
    without,
};

use super::{
    Registry, ResolveError, SlotRule, batch,
    helpers::bounded,
    learned::Readers,
    stranded::stranded,
    visit::{operands, visit},
};

/// Most steps towards the canonical form of a graph.
const MOST_REWRITES: usize = 24;
/// Most times that shapes are inferred over; the second time is the last for ordinary graphs.
const MOST_PASSES: usize = 8;

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

/// Infers shapes and types of all values, gives every parameter its uses, turns tensors that no
/// operator learns into constants, and brings the graph into its canonical form. Values behind
/// unsupported nodes keep what the file declares.
pub fn resolve(
    architecture: &mut Architecture,
    registry: &Registry,
) -> Result<Resolution, ResolveError> {
    let mut resolution = infer_all(architecture, registry)?;
    for _ in 0..MOST_REWRITES {
        if !architecture.canonicalise() && !batch::follow(architecture, registry) {
            break;
        }
        resolution = infer_all(architecture, registry)?;
    }
    Ok(resolution)
}

/// Infers shapes and uses, and turns tensors that no operator learns into constants.
fn infer_all(
    architecture: &mut Architecture,
    registry: &Registry,
) -> Result<Resolution, ResolveError> {
    demote(architecture, registry);
    let shapes = |architecture: &Architecture| {
        architecture.parameters.iter().filter(|parameter| parameter.shape.is_some()).count()
    };
    let mut passes = 0;
    loop {
        passes += 1;
        let known = shapes(architecture);
        let mut resolution = Resolution::default();
        for parameter in &mut architecture.parameters {
            parameter.slots.clear();
        }
        for index in architecture.order.clone() {
            let why = match visit(architecture, registry, index) {
                // What a branch computes may not be possible where it is not taken.
                Err(error) if architecture.dag[index].conditional => Some(error.to_string()),
                understood => understood?,
            };
            if let Some(why) = why {
                resolution.unsupported.push(Unsupported { node: index, why });
            }
        }
        for parameter in &architecture.parameters {
            let node = format!("tensor '{}'", parameter.name);
            bounded(parameter.shape.as_deref().unwrap_or_default())
                .map_err(|problem| ResolveError { node, problem })?;
        }
        adopt(architecture, registry);
        settle(architecture);
        // A shape that a reader of a Transpose asked for is news to the Transpose itself.
        if shapes(architecture) == known || passes == MOST_PASSES {
            return Ok(resolution);
        }
    }
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
    infer_all(architecture, registry)
}

/// Weights without values that operators read which learn nothing themselves (the logarithm of a
/// scale, say) are free tensors of their first reader.
fn adopt(architecture: &mut Architecture, registry: &Registry) {
    for &node in &architecture.order {
        if registry.find(&architecture.dag[node]).is_err() {
            continue;
        }
        for (input, operand) in architecture.dag[node].inputs.iter().enumerate() {
            let Operand::Parameter(id) = operand else { continue };
            let parameter = &mut architecture.parameters[id.0];
            let valueless = matches!(
                parameter.origin,
                Origin::GraphInput(_) | Origin::ConstantOfShape(_) | Origin::Undefined
            );
            if parameter.slots.is_empty() && valueless && parameter.dtype.is_float() {
                let SlotRule { role, layout, groups, .. } = SlotRule::free(input);
                let view = None;
                let slot = Slot { node, input, role, layout, groups, fan_in: 1, view };
                parameter.slots.push(slot);
            }
        }
    }
}

/// Moves slots of nodes that no data input reaches, such as a table being looked up, to the first
/// node behind them that one does: there the parameter meets the data.
fn settle(architecture: &mut Architecture) {
    let mut fed = vec![false; architecture.dag.node_count()];
    // For nodes without data: where what they compute meets it.
    let mut meets: Vec<Option<(NodeIndex, usize)>> = vec![None; fed.len()];
    for &index in &architecture.order {
        let node = &architecture.dag[index];
        let reached = node.inputs.iter().any(|operand| match operand {
            Operand::Input(_) => true,
            Operand::Node { node, .. } => fed[node.index()],
            _ => false,
        });
        // Extents of an image are no data.
        let known = node.outputs.iter().all(|output| output.value.is_some());
        fed[index.index()] = reached && !known;
    }
    for &index in architecture.order.iter().rev() {
        for (input, operand) in architecture.dag[index].inputs.iter().enumerate() {
            let &Operand::Node { node, .. } = operand else { continue };
            meets[node.index()] = match fed[index.index()] {
                true => Some((index, input)),
                false => meets[index.index()].or(meets[node.index()]),
            };
        }
    }
    for slot in architecture.parameters.iter_mut().flat_map(|parameter| &mut parameter.slots) {
        if !fed[slot.node.index()]
            && let Some((node, input)) = meets[slot.node.index()]
        {
            (slot.node, slot.input) = (node, input);
        }
    }
}

/// Turns small float tensors that no operator could learn into constants.
fn demote(architecture: &mut Architecture, registry: &Registry) {
    let stranded = stranded(architecture, registry);
    let mut learnable = vec![false; architecture.parameters.len()];
    let mut known = vec![true; architecture.parameters.len()];
    // What nothing reads stays: this may be a part of a network whose parameters are numbered.
    let mut read = vec![false; architecture.parameters.len()];
    for &index in &architecture.order {
        let node = &architecture.dag[index];
        let facts = operands(architecture, index);
        let operator = registry.get(&node.domain, &node.op_type);
        let slots = operator.map(|operator| operator.slots(node, &facts).unwrap_or_default());
        let passes = operator.is_some_and(|operator| operator.passage(node).is_some());
        for (input, operand) in node.inputs.iter().enumerate() {
            let Operand::Parameter(id) = operand else { continue };
            read[id.0] = true;
            match &slots {
                None => known[id.0] = false,
                Some(_) if passes => learnable[id.0] = true,
                Some(slots) => learnable[id.0] |= slots.iter().any(|slot| slot.input == input),
            }
        }
    }
    let readers = Readers::of(architecture);
    let stays = |(index, parameter): (usize, &Parameter)| {
        let id = ParameterId(index);
        let fixed = readers.is_grid(id) || readers.is_mask(id) || readers.is_compared(id);
        let learned = learnable[index] && !fixed
            || stranded.contains_key(&id)
            || parameter.value.is_some() && readers.is_logarithm(id);
        learned || !known[index] || !read[index] || parameter.origin == Origin::Undefined
    };
    let stays: Vec<bool> = architecture.parameters.iter().enumerate().map(stays).collect();
    let mut constants = HashMap::new();
    for (index, parameter) in architecture.parameters.iter_mut().enumerate() {
        if stays[index] || parameter.dtype == DType::Other(0) {
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
    let count = architecture.parameters.len();
    architecture.renumber_parameters(&without(count, |id| constants.contains_key(&id)));
}
