//! Tied tensors. What the file stores twice with equal values, such as an embedding and the classifier tied
//! to it, is one parameter, so that it stays equal.

use std::sync::Arc;

use super::{
    super::{Attribute, Form, Operand, Storage, Twins, storage::Copies},
    edit::Editor,
};

/// Makes one parameter of equal tensors.
pub(super) fn tie(editor: &mut Editor) {
    let Some(&Twins { first, .. }) = editor.architecture.twins.first() else { return };
    let group: Vec<Twins> =
        editor.architecture.twins.iter().copied().filter(|twins| twins.first == first).collect();
    let own = editor.architecture.parameters[first.0].clone();
    let seconds = group.iter().map(|twins| &editor.architecture.parameters[twins.second.0]);
    let names: Vec<String> = seconds.clone().map(|other| other.name.clone()).collect();
    let tieable = own.shape.is_some() && seconds.clone().all(|other| other.dtype == own.dtype);
    let read = seconds.clone().all(|other| !other.slots.is_empty()) && !own.slots.is_empty();
    if !tieable || !read {
        editor.architecture.twins.retain(|twins| twins.first != first);
        editor.touch();
        return;
    }
    let extents = match own.shape.as_deref() {
        Some(&[rows, columns]) => [rows, columns],
        _ => [own.len().unwrap_or(0), 1],
    };
    let transposed: Vec<bool> =
        std::iter::once(false).chain(group.iter().map(|twins| twins.transposed)).collect();
    let from: Vec<_> = std::iter::once(first).chain(group.iter().map(|it| it.second)).collect();
    editor.notice(format!(
        "tensor{} {} {} the values of '{}' in the file and stay{} equal to it",
        if names.len() > 1 { "s" } else { "" },
        names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", "),
        if names.len() > 1 { "have" } else { "has" },
        own.name,
        if names.len() > 1 { "" } else { "s" },
    ));
    let storage = |parameters, tensors| Storage {
        parameters,
        tensors,
        map: Arc::new(Copies { extents, transposed }),
        in_state_dict: Form::Tensors,
    };
    let tied = editor.compose(&from, Vec::new(), vec![own], storage)[0];
    editor.replace(Operand::Parameter(first), tied);
    for twins in &group {
        let second = Operand::Parameter(twins.second);
        let Some(&(reader, _)) = editor.readers(second).first() else { continue };
        let value = match twins.transposed {
            false => tied,
            true => {
                let order = [("perm", Attribute::Ints(vec![1, 0]))];
                let shape = vec![extents[1], extents[0]];
                editor.insert(reader, "Transpose", &order, &[tied], Some(shape))
            }
        };
        editor.replace(second, value);
    }
}
