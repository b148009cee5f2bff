//! Merged initializers. An exporter that finds two tensors equal may keep one of them for both, and in a
//! fresh network nearly all gains and variances are ones, nearly all shifts and means zeros. They are told
//! apart by who reads them: each becomes a parameter of its own again, and an initializer of its own in the
//! file that is written. What one module reads in several places is one tensor.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    super::{NodeIndex, Operand, Origin, Parameter, ParameterId, Role, Wiring},
    edit::Editor,
    folded_norm,
};

/// Somebody who reads a tensor, perhaps by the name that an `Identity` gave it.
struct Read {
    node: NodeIndex,
    input: usize,
    role: Role,
    /// What the value is called there.
    name: String,
    /// The `Identity`.
    alias: Option<NodeIndex>,
}

/// Tells the tensors of a graph apart.
pub(super) fn tell_apart(editor: &mut Editor) {
    let count = editor.architecture.parameters.len();
    for index in 0..count {
        if folds_to_zeros(editor, ParameterId(index)) {
            editor.architecture.parameters[index].uniform = true;
        }
    }
    for index in 0..count {
        let id = ParameterId(index);
        let parameter = &editor.architecture.parameters[index];
        let stored = editor.architecture.storage_of(id).is_none();
        let used = !parameter.slots.is_empty() || is_rewritten(editor, id);
        let known = parameter.dtype.is_float() && used;
        if !stored || !known || is_tied(parameter) {
            continue;
        }
        let reads = reads(editor, id);
        if reads.len() > 1 {
            split(editor, id, reads);
        }
    }
}

/// Whether a tensor is read by an operator that goes when what it computes becomes the parameter, such as the
/// `Exp` of a logarithm. Only then does it show what the tensor is for.
fn is_rewritten(editor: &Editor, id: ParameterId) -> bool {
    let rewritten = ["Clip", "Exp", "Max", "Min", "ScatterND"];
    let mut reads = reads(editor, id).into_iter();
    reads.any(|read| rewritten.iter().any(|op_type| editor.is(read.node, op_type)))
}

/// Whether equal values mean the same tensor: numbers that are not all one, and matrices without values.
fn is_tied(parameter: &Parameter) -> bool {
    let vectors =
        parameter.slots.iter().all(|slot| !matches!(slot.role, Role::Weight | Role::Free));
    match parameter.origin {
        _ if parameter.uniform => false,
        Origin::GraphInput(_) | Origin::ConstantOfShape(_) | Origin::Undefined => !vectors,
        _ => true,
    }
}

/// Whether a kernel without values is one of zeros: TorchScript found it equal in convolutions of several
/// modules after it folded their normalisations, and that holds where the gains start at zero.
fn folds_to_zeros(editor: &Editor, id: ParameterId) -> bool {
    let parameter = &editor.architecture.parameters[id.0];
    let valueless = matches!(parameter.origin, Origin::GraphInput(_) | Origin::Undefined);
    if !valueless || parameter.uniform || !folded_norm::is_numbered(&parameter.name) {
        return false;
    }
    let reads = reads(editor, id);
    let folded = |read: &Read| editor.is(read.node, "Conv") && folded_norm::is_numbered(&read.name);
    let module = |read: &Read| {
        let module = editor.node(read.node).module.as_deref()?;
        Some(first_call(module).unwrap_or(module))
    };
    let modules: BTreeSet<&str> = reads.iter().filter_map(module).collect();
    reads.len() > 1 && modules.len() == reads.len() && reads.iter().all(folded)
}

fn reads(editor: &Editor, id: ParameterId) -> Vec<Read> {
    let parameter = &editor.architecture.parameters[id.0];
    let mut reads = Vec::new();
    let mut names = vec![(Operand::Parameter(id), parameter.name.clone(), None)];
    while let Some((operand, name, alias)) = names.pop() {
        for &(node, input) in editor.readers(operand) {
            if editor.is(node, "Identity") {
                let output = &editor.node(node).outputs[0];
                names.push((Operand::Node { node, slot: 0 }, output.name.clone(), Some(node)));
                continue;
            }
            let slot = parameter.slots.iter().find(|slot| slot.node == node && slot.input == input);
            // Whoever turns it first uses it as the others do.
            let role = slot.or(parameter.slots.first()).map_or(Role::Free, |slot| slot.role);
            reads.push(Read { node, input, role, name: name.clone(), alias });
        }
    }
    reads.sort_by_key(|read| (read.node, read.input));
    reads
}

/// The path of a module that is called a second time, which is `name_1` in the names of TorchScript's nodes.
fn first_call(module: &str) -> Option<&str> {
    let (path, number) = module.rsplit_once('_')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then_some(path)
}

/// The module that a tensor of that name belongs to, for one of its readers.
fn owner(editor: &Editor, read: &Read) -> Option<String> {
    let module = editor.node(read.node).module.clone()?;
    let named = read.name.rsplit_once('.').map(|(module, _)| module);
    match named {
        Some(named) if first_call(&module) == Some(named) => Some(named.to_owned()),
        _ => Some(module),
    }
}

/// What the module calls the tensor that a reader reads, where the exporter says it.
fn called(editor: &Editor, read: &Read) -> Option<String> {
    editor.node(read.node).module_tensor(read.role).map(str::to_owned)
}

/// The weight of a layer, if others have it, too.
fn shared_weight(editor: &Editor, node: NodeIndex) -> Option<ParameterId> {
    let mut weight = editor.input(node, 1);
    while let Some(alias) = editor.made_by(weight, "Identity") {
        weight = editor.input(alias, 0);
    }
    let id = editor.parameter(weight)?;
    let parameter = &editor.architecture.parameters[id.0];
    let layers = parameter.slots.iter().filter(|slot| slot.role == Role::Weight);
    (layers.count() > 1 && !parameter.uniform).then_some(id)
}

/// What tells readers of one tensor apart.
#[derive(PartialEq)]
enum Reader {
    /// What the module calls the tensor.
    Tensor(String),
    /// Layers that have one weight.
    Layers(ParameterId),
    /// A module, by the name of the value that it reads.
    Module(String, String),
    /// An input of a node, where modules are not known.
    Input(NodeIndex, usize),
}

fn reader(editor: &Editor, read: &Read) -> Reader {
    if let Some(name) = called(editor, read) {
        return Reader::Tensor(name);
    }
    match (shared_weight(editor, read.node), owner(editor, read)) {
        (Some(weight), _) => Reader::Layers(weight),
        (None, Some(module)) => Reader::Module(read.name.clone(), module),
        // A matrix that nodes share by one name is shared on purpose.
        (None, None) if matches!(read.role, Role::Weight | Role::Free) => {
            Reader::Module(read.name.clone(), String::new())
        }
        (None, None) => Reader::Input(read.node, read.input),
    }
}

fn split(editor: &mut Editor, id: ParameterId, reads: Vec<Read>) {
    let mut groups: Vec<((Reader, Role), Vec<Read>)> = Vec::new();
    for read in reads {
        let key = (reader(editor, &read), read.role);
        match groups.iter_mut().find(|(other, _)| *other == key) {
            Some((_, group)) => group.push(read),
            None => groups.push((key, vec![read])),
        }
    }
    if groups.len() < 2 {
        return;
    }
    let original = editor.architecture.parameters[id.0].clone();
    let module = original.name.rsplit_once('.').map(|(module, _)| module);
    let by_own_name = |group: &[Read]| group.iter().any(|read| read.name == original.name);
    let own = |(_, group): &(_, Vec<Read>)| {
        by_own_name(group) && owner(editor, &group[0]).as_deref() == module
    };
    let called_so =
        |(_, group): &(_, Vec<Read>)| called(editor, &group[0]).as_deref() == Some(&original.name);
    let keeps = groups.iter().position(called_so).or_else(|| groups.iter().position(own));
    let keeps = keeps.or_else(|| groups.iter().position(|(_, group)| by_own_name(group)));
    for (place, (_, group)) in groups.iter().enumerate() {
        if Some(place) == keeps {
            continue;
        }
        // The name that an Identity gave it is free where nobody else reads it by that name.
        let users = |name: &str| {
            let reads = |(_, group): &&(_, Vec<Read>)| group.iter().any(|read| read.name == name);
            groups.iter().filter(reads).count()
        };
        let aliases: BTreeMap<&str, NodeIndex> = group
            .iter()
            .filter_map(|read| Some((read.name.as_str(), read.alias?)))
            .filter(|(name, _)| users(name) == 1)
            .collect();
        let alias = aliases.keys().next().copied();
        let moved: Vec<&Read> =
            group.iter().filter(|read| alias != Some(read.name.as_str())).collect();
        if moved.iter().any(|read| editor.node(read.node).inlined) {
            editor.notice(format!(
                "tensor '{}' is read in several roles inside of a function, where its uses cannot be told apart",
                original.name
            ));
            continue;
        }
        let name = match alias {
            Some(name) => name.to_owned(),
            None => {
                // As PyTorch calls it or, where only the module is known, would call it.
                let proper = owner(editor, &group[0]).zip(group[0].role.torch_attribute());
                let proper = proper.map(|(module, attribute)| format!("{module}.{attribute}"));
                let name = called(editor, &group[0]).or(proper);
                editor.free_name(name.as_deref().unwrap_or(&original.name))
            }
        };
        let position = |node: NodeIndex| editor.node(node).position;
        let wiring = Wiring {
            supplants: aliases.values().map(|&alias| position(alias)).collect(),
            inputs: moved.iter().map(|read| [position(read.node), read.input]).collect(),
        };
        let slots = Vec::new();
        let operand = editor.add_parameter(Parameter { name, wiring, slots, ..original.clone() });
        for read in group {
            editor.set_input(read.node, read.input, operand);
        }
    }
}
