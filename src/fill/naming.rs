//! State-dict names of a network's tensors, from what file and graph say about them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::{
    graph::{Architecture, Form, NodeIndex, Operand, Parameter, ParameterId, Role},
    onnx::{
        Model,
        names::{Hints, guessed, state_dict_names},
    },
};

/// Tensors that a state dict holds in place of parameters: the first parameter that follows from them, and
/// their place among them.
pub(super) type Part = (ParameterId, usize);

/// Something that a state dict may hold.
struct Entry<'a> {
    /// A parameter by its index, or a part of some.
    of: Result<usize, Part>,
    tensor: &'a Parameter,
    layer: Option<NodeIndex>,
}

/// What the tensors of a network are called.
pub(super) struct Names {
    /// Every parameter.
    pub parameters: Vec<String>,
    /// The tensors that a state dict holds in place of some.
    pub parts: HashMap<Part, String>,
    /// A sentence for the user, where PyTorch's exporter left too little to be sure.
    pub notice: Option<String>,
}

/// Names every parameter, and the tensors that a state dict holds in place of some.
pub(super) fn names(model: &Model, architecture: &Architecture) -> Names {
    let entries = entries(architecture);
    let (said, script) = (model.module_tensors(), model.is_torchscript());
    let mut hints: Vec<Hints> =
        entries.iter().map(|entry| hints(architecture, &said, script, entry)).collect();
    name_attention(&entries, &mut hints);
    let mut names: Vec<String> =
        architecture.parameters.iter().map(|parameter| parameter.name.clone()).collect();
    let mut of_parts = HashMap::new();
    for (entry, name) in entries.iter().zip(state_dict_names(&hints)) {
        match entry.of {
            Ok(index) => names[index] = name,
            Err(part) => {
                of_parts.insert(part, name);
            }
        }
    }
    let notice =
        model.producer().starts_with("pytorch").then(|| unsure(&guessed(&hints))).flatten();
    Names { parameters: names, parts: of_parts, notice }
}

fn unsure(guessed: &[&str]) -> Option<String> {
    let first = guessed.first()?;
    let others = match guessed.len() {
        1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    Some(format!(
        "the exporter gave '{first}'{others} a name of its own, so that the state dict may not fit the module; \
         torch.onnx.export(…, dynamo=True, optimize=False, keep_initializers_as_inputs=True) keeps the names"
    ))
}

fn entries(architecture: &Architecture) -> Vec<Entry<'_>> {
    let mut entries = Vec::new();
    let parameters = architecture.parameters.iter().zip(layers(architecture)).enumerate();
    for (index, (parameter, layer)) in parameters {
        let id = ParameterId(index);
        match architecture.storage_of(id) {
            Some((storage, place)) if storage.in_state_dict == Form::Tensors => {
                let parts = storage.tensors.iter().enumerate().filter(|_| place == 0);
                entries.extend(parts.map(|(part, tensor)| Entry {
                    of: Err((id, part)),
                    tensor,
                    layer: None,
                }));
            }
            _ => entries.push(Entry { of: Ok(index), tensor: parameter, layer }),
        }
    }
    entries
}

/// What the module calls a parameter, as the node that reads it notes.
fn called<'a>(architecture: &'a Architecture, entry: &Entry) -> Option<&'a str> {
    let slot = entry.of.ok().and(entry.tensor.slots.first())?;
    architecture.dag.node_weight(slot.node)?.module_tensor(slot.role)
}

fn hints<'a>(
    architecture: &'a Architecture,
    said: &BTreeSet<&str>,
    script: bool,
    entry: &Entry<'a>,
) -> Hints<'a> {
    let tensor = entry.tensor;
    let hints = Hints {
        initializer: &tensor.name,
        said: said.contains(tensor.name.as_str()),
        called: called(architecture, entry),
        module: tensor.module.as_deref(),
        script,
        leaf: tensor.role().and_then(Role::torch_attribute),
        layer: entry.layer.map(NodeIndex::index),
    };
    // Group normalisation is exported as an instance normalisation by ones and zeros that the exporter
    // makes up, with the module's own gain and shift behind it.
    let node = entry.layer.and_then(|layer| architecture.dag.node_weight(layer));
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
fn name_attention(entries: &[Entry], hints: &mut [Hints]) {
    let mut matrices: BTreeMap<String, Vec<(usize, [usize; 2])>> = BTreeMap::new();
    for (index, (entry, hints)) in entries.iter().zip(&*hints).enumerate() {
        let Some(&[outputs, inputs]) = entry.tensor.shape.as_deref() else { continue };
        if entry.tensor.role() == Some(Role::Weight)
            && !hints.is_right()
            && let Some(module) = hints.module
        {
            matrices.entry(module.to_owned()).or_default().push((index, [outputs, inputs]));
        }
    }
    for (module, matrices) in matrices {
        let packed = matrices.iter().find(|(_, [outputs, inputs])| *outputs == 3 * inputs);
        let Some(&(packed, [_, width])) = packed else { continue };
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
