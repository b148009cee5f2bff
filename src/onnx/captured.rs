//! What PyTorch's dynamo exporter notes about the program that it captured: the tensors of the module by the
//! names of their placeholders, and the call that each node is part of.

use std::collections::HashMap;

use super::{
    find,
    messages::{GraphProto, NodeProto},
};

/// Where the exporter lists the tensors of the module.
const SIGNATURE: &str = "pkg.torch.export.ExportedProgram.graph_signature";
/// Where it notes the call.
const CALL: &str = "pkg.torch.onnx.fx_node";

/// A call, from a note such as `%add : [num_users=1] =
/// call_function[target=torch.ops.aten.add.Tensor](args = (%x, %p_bias), kwargs = {})`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call<'a> {
    /// What its result is called: `add`.
    pub result: &'a str,
    /// How many calls take the result.
    pub users: usize,
    /// The function: `add`.
    pub function: &'a str,
    /// Values that it is called with, in order: `x`, `p_bias`.
    pub arguments: Vec<&'a str>,
}

/// The call that a node is part of.
pub(crate) fn call(node: &NodeProto) -> Option<Call<'_>> {
    parse_call(find(&node.metadata_props, CALL)?)
}

/// Parameters and buffers of the state dict, by the names of their placeholders.
pub(crate) fn placeholders(graph: &GraphProto) -> HashMap<&str, &str> {
    let lines = find(&graph.metadata_props, SIGNATURE).unwrap_or_default().lines();
    lines.filter_map(placeholder).collect()
}

fn parse_call(note: &str) -> Option<Call<'_>> {
    let (result, rest) = note.strip_prefix('%')?.split_once(" : [num_users=")?;
    let (users, rest) = rest.split_once(']')?;
    let (_, rest) = rest.split_once("[target=")?;
    let (target, rest) = rest.split_once(']')?;
    let mut parts = target.rsplit('.');
    let last = parts.next().filter(|it| !it.is_empty())?;
    // Behind the function stands which overload of it.
    let function = if target.starts_with("torch.ops.") { parts.next()? } else { last };
    let word = |text: &'_ str| text.find(|it: char| it != '_' && !it.is_alphanumeric());
    let argument = |text| word(text).map_or(text, |end| &text[..end]);
    let arguments = rest.split('%').skip(1).map(argument).collect();
    Some(Call { result, users: users.parse().ok()?, function, arguments })
}

/// `p_fc_bias: PARAMETER target='fc.bias'`, or a buffer with `persistent=True` behind it.
fn placeholder(line: &str) -> Option<(&str, &str)> {
    let (name, rest) = line.split_once(": ")?;
    let (kind, rest) = rest.split_once(" target='")?;
    let (target, rest) = rest.split_once('\'')?;
    let saved = match kind {
        "PARAMETER" => true,
        "BUFFER" => rest.trim() == "persistent=True",
        _ => false,
    };
    saved.then_some((name, target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read() {
        let note = "%conv2d_1 : [num_users=2] = call_function[target=torch.ops.aten.conv2d.default](args = \
                    (%relu, %p_conv_weight, None, [1, 1]), kwargs = {})";
        let arguments = vec!["relu", "p_conv_weight"];
        let call = Call { result: "conv2d_1", users: 2, function: "conv2d", arguments };
        assert_eq!(parse_call(note), Some(call));
        let note = "%getitem : [num_users=1] = call_function[target=operator.getitem](args = (%split, 0), kwargs = {})";
        assert_eq!(parse_call(note).map(|call| call.function), Some("getitem"));
        for odd in ["", "%", "%x", "%x : [num_users=]", "%é : [num_users=1] = call[target=]%é"] {
            assert_eq!(parse_call(odd), None, "{odd}");
        }
    }

    #[test]
    fn what_the_state_dict_lacks_is_not_listed() {
        let tensor = Some(("p_fc_bias", "fc.bias"));
        assert_eq!(placeholder("p_fc_bias: PARAMETER target='fc.bias'"), tensor);
        let buffer =
            |persistent| format!("b_mean: BUFFER target='bn.mean' persistent={persistent}");
        assert_eq!(placeholder(&buffer("True")), Some(("b_mean", "bn.mean")));
        assert_eq!(placeholder(&buffer("False")), None);
        for other in [
            "x: USER_INPUT",
            "# inputs",
            "",
            "c: CONSTANT_TENSOR target='c'",
            "a: PARAMETER target='",
        ] {
            assert_eq!(placeholder(other), None);
        }
    }
}
