//! Equal nodes that PyTorch's optimiser merged. The calls that the exporter notes tell them apart: where all
//! users of a call read its result, others that read it had a node of their own. Those that take the same rows of
//! a value stay [one](super::repeated).

use std::collections::BTreeSet;

use super::{
    super::{NodeIndex, Operand, TorchCall},
    edit::Editor,
    repeated,
};

/// Gives readers that took the result of another call a node of their own again.
pub(super) fn tell_apart(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    let own = editor.node(node).clone();
    let call = own.call.as_ref()?;
    let output = Operand::Node { node, slot: 0 };
    let readers = editor.readers(output).to_vec();
    let plain = own.outputs.len() == 1 && own.domain.is_empty() && !editor.is_returned(output);
    if !plain || readers.len() <= call.users || repeated::takes_rows(editor, node) {
        return None;
    }
    // What a call was taken apart into cannot be merged by one of its nodes.
    let call_of = |operand: &Operand| match operand {
        Operand::Node { node, .. } => editor.node(*node).call.as_ref(),
        _ => None,
    };
    let alone = own.inputs.iter().all(|it| call_of(it).is_none_or(|it| it.result != call.result));
    let weightless = own.inputs.iter().all(|it| editor.parameter(*it).is_none());
    let reading: Option<Vec<&TorchCall>> =
        readers.iter().map(|(reader, _)| editor.node(*reader).call.as_ref()).collect();
    let reading = reading?;
    let last = reading.iter().all(|reader| reader.result != call.result);
    let takes = |reader: &TorchCall| reader.arguments.contains(&call.result);
    let users: BTreeSet<&str> =
        reading.iter().filter(|it| takes(it)).map(|it| it.result.as_str()).collect();
    let others = readers.iter().zip(&reading).filter(|(_, reader)| !takes(reader));
    let others: Vec<(NodeIndex, usize)> = others.map(|(reader, _)| *reader).collect();
    if !alone || !last || !weightless || users.len() != call.users || others.is_empty() {
        return None;
    }
    let attributes: Vec<_> =
        own.attributes.0.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    let shape = own.outputs[0].shape.clone();
    let twin = editor.insert(node, &own.op_type, &attributes, &own.inputs, shape);
    for (reader, slot) in others {
        editor.set_input(reader, slot, twin);
    }
    Some(())
}
