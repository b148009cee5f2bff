//! State-dict names of a network's parameters, from what file and graph say about them.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    graph::{Architecture, Layout, NodeIndex, Operand, Parameter, Role},
    onnx::{
        Model,
        names::{Hints, state_dict_names},
    },
};

/// The name of every parameter.
pub(super) fn names(model: &Model, architecture: &Architecture) -> Vec<String> {
    let said = model.module_tensors();
    let parameters = architecture.parameters.iter().zip(layers(architecture));
    let mut hints: Vec<Hints> = parameters
        .map(|(parameter, layer)| hints(model, architecture, &said, parameter, layer))
        .collect();
    name_attention(architecture, &mut hints);
    state_dict_names(&hints)
}

fn hints<'a>(
    model: &'a Model,
    architecture: &'a Architecture,
    said: &BTreeSet<&str>,
    parameter: &'a Parameter,
    layer: Option<NodeIndex>,
) -> Hints<'a> {
    let node = parameter.slots.first().map(|slot| &architecture.dag[slot.node]);
    let hints = Hints {
        initializer: &parameter.name,
        said: said.contains(parameter.name.as_str()),
        node: node.map_or("", |node| &node.name),
        scopes: node
            .and_then(|node| model.node_metadata(node.position, "pkg.torch.onnx.name_scopes")),
        leaf: parameter.role().and_then(Role::torch_attribute),
        layer: layer.map(NodeIndex::index),
    };
    // Group normalisation is exported as an instance normalisation by ones and zeros that the exporter
    // makes up, with the module's own gain and shift behind it.
    let invented =
        !hints.is_right() && node.is_some_and(|node| node.op_type == "InstanceNormalization");
    Hints { leaf: hints.leaf.filter(|_| !invented), ..hints }
}

/// The node that stands for the layer of each parameter: the one that reads it, or the linear map whose
/// result it is added to.
fn layers(architecture: &Architecture) -> Vec<Option<NodeIndex>> {
    let weighted: BTreeSet<NodeIndex> = architecture
        .parameters
        .iter()
        .flat_map(|parameter| &parameter.slots)
        .filter(|slot| slot.role == Role::Weight)
        .map(|slot| slot.node)
        .collect();
    let layer = |parameter: &Parameter| {
        let slot = parameter.slots.first()?;
        let added = || {
            architecture.dag[slot.node].inputs.iter().find_map(|operand| match operand {
                Operand::Node { node, .. } if weighted.contains(node) => Some(*node),
                _ => None,
            })
        };
        let behind = slot.role == Role::Bias && !weighted.contains(&slot.node);
        Some(if behind { added().unwrap_or(slot.node) } else { slot.node })
    };
    architecture.parameters.iter().map(layer).collect()
}

/// `nn.MultiheadAttention` has two matrices at one module path. Where neither has a bias to be named
/// after, they are told apart by their shapes.
fn name_attention(architecture: &Architecture, hints: &mut [Hints]) {
    let mut matrices: BTreeMap<String, Vec<(usize, [usize; 2])>> = BTreeMap::new();
    for (index, (parameter, hints)) in architecture.parameters.iter().zip(&*hints).enumerate() {
        let Some(&[inputs, outputs]) = parameter.shape.as_deref() else { continue };
        let by_columns = parameter.slots.first().is_some_and(|slot| slot.layout == Layout::InOut);
        if parameter.role() == Some(Role::Weight)
            && by_columns
            && !hints.is_right()
            && let Some(module) = hints.module()
        {
            matrices.entry(module).or_default().push((index, [inputs, outputs]));
        }
    }
    for (module, matrices) in matrices {
        let packed = matrices.iter().find(|(_, [inputs, outputs])| *outputs == 3 * inputs);
        let Some(&(packed, [width, _])) = packed else { continue };
        let closing = matrices.iter().find(|(_, extents)| *extents == [width; 2]);
        let named = format!("{module}.out_proj.weight");
        if let Some(&(closing, _)) = closing {
            hints[closing].leaf = Some("out_proj.weight");
        } else if hints.iter().all(|hints| hints.initializer != named) {
            continue;
        }
        hints[packed].leaf = Some("in_proj_weight");
    }
}
