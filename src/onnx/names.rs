//! PyTorch state-dict names for initializers, recovered from what exporters leave behind.

/// What is known about one parameter.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hints<'a> {
    /// Name of the value in the file.
    pub initializer: &'a str,
    /// Name of the node that reads it.
    pub node: &'a str,
    /// The node's `pkg.torch.onnx.name_scopes` metadata, a Python list of module paths.
    pub scopes: Option<&'a str>,
    /// The attribute a PyTorch module would hold it under, for example `weight`.
    pub leaf: Option<&'a str>,
}

/// The state-dict name: the initializer's own name if it is dotted, else the module path of the
/// node (from its scopes, or from a TorchScript node name such as `/layer1/conv1/Conv`) with the
/// leaf, else the initializer's name as it stands.
pub fn state_dict_name(hints: Hints) -> String {
    let raw = hints.initializer;
    if is_dotted(raw) {
        return raw.to_owned();
    }
    let path = hints.scopes.and_then(scope_path).or_else(|| node_path(hints.node));
    match (path, hints.leaf) {
        (Some(path), Some(leaf)) => format!("{path}.{leaf}"),
        _ => raw.to_owned(),
    }
}

/// Names for several parameters; names that would collide fall back to the initializers' own.
pub fn state_dict_names(all: &[Hints]) -> Vec<String> {
    let names: Vec<String> = all.iter().map(|&hints| state_dict_name(hints)).collect();
    let mut sorted: Vec<&str> = names.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    let collides = |name: &str| {
        let first = sorted.partition_point(|other| *other < name);
        sorted.get(first + 1).is_some_and(|other| *other == name)
    };
    let raw = |hints: &Hints| hints.initializer.to_owned();
    all.iter()
        .zip(&names)
        .map(|(hints, name)| if collides(name) { raw(hints) } else { name.clone() })
        .collect()
}

fn is_dotted(name: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    name.contains('.') && name.split('.').all(plain)
}

/// The innermost module path of a list such as `['', 'layer1', 'layer1.0', 'conv2d']`, whose last
/// entry is the operator itself.
fn scope_path(scopes: &str) -> Option<String> {
    let inner = scopes.trim().strip_prefix('[')?.strip_suffix(']')?;
    let parts: Vec<&str> =
        inner.split(',').map(|part| part.trim().trim_matches(['\'', '"'])).collect();
    let path = parts.len().checked_sub(2).map(|index| parts[index])?;
    (!path.is_empty()).then(|| path.to_owned())
}

/// `/layer1/layer1.0/conv1/Conv` is `layer1.0.conv1`.
fn node_path(node: &str) -> Option<String> {
    let parts: Vec<&str> = node.strip_prefix('/')?.split('/').collect();
    let (_, modules) = parts.split_last()?;
    let mut path = String::new();
    for module in modules {
        if path.is_empty() || module.starts_with(&format!("{path}.")) {
            path = (*module).to_owned();
        } else {
            path = format!("{path}.{module}");
        }
    }
    (!path.is_empty()).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_recovered_in_order() {
        let leaf = Some("weight");
        let dotted = Hints { initializer: "layer1.0.conv.weight", leaf, ..Hints::default() };
        assert_eq!(state_dict_name(dotted), "layer1.0.conv.weight");
        let scopes = Some("['', 'layer1', 'layer1.0', 'conv2d_3']");
        let scoped = Hints { initializer: "val_27", scopes, leaf, ..Hints::default() };
        assert_eq!(state_dict_name(scoped), "layer1.0.weight");
        let script = Hints {
            initializer: "onnx::Conv_43",
            node: "/layer1/layer1.0/conv1/Conv",
            leaf,
            scopes: None,
        };
        assert_eq!(state_dict_name(script), "layer1.0.conv1.weight");
        let raw = Hints { initializer: "Parameter193", node: "Times212", leaf, scopes: None };
        assert_eq!(state_dict_name(raw), "Parameter193");
    }

    #[test]
    fn collisions_fall_back_to_the_initializers() {
        let hints = |initializer| Hints {
            initializer,
            node: "/fc/Gemm",
            leaf: Some("weight"),
            scopes: None,
        };
        assert_eq!(state_dict_names(&[hints("a"), hints("b")]), ["a", "b"]);
    }
}
