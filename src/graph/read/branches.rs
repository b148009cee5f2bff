//! Branches of an `If`. Operators have no effects, so both branches can stand in front of it, and the `If`
//! chooses among what they return. Which one it is may follow from shapes alone; until these are known, both
//! are kept.

use std::collections::HashMap;

use crate::onnx::messages::{AttributeProto, GraphProto, NodeProto};

/// The nodes of both branches, and the `If` that reads the condition, what the one branch returns and what
/// the other does; `None` if this is not an `If` with two branches.
pub(super) fn in_front(call: &NodeProto) -> Option<(Vec<NodeProto>, NodeProto)> {
    let default = matches!(call.domain.as_deref(), None | Some("" | "ai.onnx"));
    if !default || call.op_type.as_deref() != Some("If") || call.input.len() != 1 {
        return None;
    }
    let mut nodes = Vec::new();
    let mut input = call.input.clone();
    for name in ["then_branch", "else_branch"] {
        let branch = |it: &&AttributeProto| it.name.as_deref() == Some(name);
        let branch = call.attribute.iter().find(branch)?.g.as_deref()?;
        if branch.output.len() != call.output.len() || !branch.sparse_initializer.is_empty() {
            return None;
        }
        let prefix = format!("{}/{name}", call.output.first()?);
        let own = own_names(branch, &prefix);
        let mut body = branch.clone();
        rename(&mut body, &own);
        nodes.extend(body.initializer.into_iter().map(|tensor| NodeProto {
            output: tensor.name.clone().into_iter().collect(),
            op_type: Some("Constant".to_owned()),
            attribute: vec![AttributeProto {
                name: Some("value".to_owned()),
                r#type: Some(4),
                t: Some(tensor),
                ..AttributeProto::default()
            }],
            ..NodeProto::default()
        }));
        nodes.extend(body.node);
        input.extend(body.output.into_iter().map(|output| output.name.unwrap_or_default()));
    }
    Some((nodes, NodeProto { input, attribute: Vec::new(), ..call.clone() }))
}

/// Names of the values that a branch defines, and what they are called outside of it: the two branches
/// may use one name for two values.
fn own_names(branch: &GraphProto, prefix: &str) -> HashMap<String, String> {
    let outputs = branch.node.iter().flat_map(|node| node.output.iter());
    let tensors = branch.initializer.iter().filter_map(|tensor| tensor.name.as_ref());
    let names = outputs.chain(tensors).filter(|name| !name.is_empty());
    names.map(|name| (name.clone(), format!("{prefix}/{name}"))).collect()
}

/// Renames values in a graph and in those inside of it.
fn rename(graph: &mut GraphProto, names: &HashMap<String, String>) {
    let change = |name: &mut String| {
        if let Some(new) = names.get(name) {
            name.clone_from(new);
        }
    };
    graph.initializer.iter_mut().filter_map(|tensor| tensor.name.as_mut()).for_each(change);
    graph.output.iter_mut().filter_map(|output| output.name.as_mut()).for_each(change);
    for node in &mut graph.node {
        node.input.iter_mut().chain(&mut node.output).for_each(change);
        for inner in node.attribute.iter_mut().filter_map(|attribute| attribute.g.as_mut()) {
            rename(inner, names);
        }
    }
}
