//! PyTorch state-dict names for initializers, recovered from what exporters leave behind.

use std::collections::BTreeMap;

/// What is known about one parameter.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hints<'a> {
    /// Name of the value in the file.
    pub initializer: &'a str,
    /// Path of the module that reads it; see [`module_path`].
    pub module: Option<&'a str>,
    /// The attribute a PyTorch module would hold it under, for example `weight`.
    pub leaf: Option<&'a str>,
}

/// The state-dict name: the initializer's own name if it is dotted, else the module path of the
/// node (from its scopes, or from a TorchScript node name such as `/layer1/conv1/Conv`) with the
/// leaf, else the initializer's name as it stands.
///
/// A batch normalisation that the exporter folded into a convolution leaves `conv.weight_bias`,
/// which is `conv.bias` to PyTorch.
pub fn state_dict_name(hints: Hints) -> String {
    let raw = hints.initializer;
    if is_dotted(raw) {
        let folded = raw.strip_suffix(".weight_bias").filter(|_| hints.leaf == Some("bias"));
        return folded.map_or_else(|| raw.to_owned(), |module| format!("{module}.bias"));
    }
    match (hints.module, hints.leaf) {
        (Some(path), Some(leaf)) => format!("{path}.{leaf}"),
        _ => raw.to_owned(),
    }
}

/// Path of the module that a node is part of: from its `pkg.torch.onnx.name_scopes` metadata, a Python
/// list of module paths, or else from a TorchScript node name.
pub fn module_path(node: &str, scopes: Option<&str>) -> Option<String> {
    scopes.and_then(scope_path).or_else(|| node_path(node))
}

/// Names for several parameters; those that would collide fall back to the initializers' own,
/// which are unique in a file.
pub fn state_dict_names(all: &[Hints]) -> Vec<String> {
    let mut names: Vec<String> = all.iter().map(|&hints| state_dict_name(hints)).collect();
    loop {
        let mut uses: BTreeMap<&str, usize> = BTreeMap::new();
        for name in &names {
            *uses.entry(name).or_default() += 1;
        }
        let fallen: Vec<usize> = (0..all.len())
            .filter(|&index| uses[names[index].as_str()] > 1)
            .filter(|&index| names[index] != all[index].initializer)
            .collect();
        if fallen.is_empty() {
            return names;
        }
        for index in fallen {
            names[index] = all[index].initializer.to_owned();
        }
    }
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
        let module = module_path("node_conv2d_3", scopes);
        let scoped = Hints { initializer: "val_27", module: module.as_deref(), leaf };
        assert_eq!(state_dict_name(scoped), "layer1.0.weight");
        let module = module_path("/layer1/layer1.0/conv1/Conv", None);
        let script = Hints { initializer: "onnx::Conv_43", module: module.as_deref(), leaf };
        assert_eq!(state_dict_name(script), "layer1.0.conv1.weight");
        assert_eq!(module_path("Times212", None), None);
        let raw = Hints { initializer: "Parameter193", module: None, leaf };
        assert_eq!(state_dict_name(raw), "Parameter193");
    }

    #[test]
    fn collisions_fall_back_to_the_initializers() {
        let hints = |initializer| Hints { initializer, module: Some("fc"), leaf: Some("weight") };
        assert_eq!(state_dict_names(&[hints("a"), hints("b")]), ["a", "b"]);
        // A name that falls back may collide in turn.
        let odd = Hints { initializer: "fc.weight", ..Hints::default() };
        let of =
            |initializer, module| Hints { initializer, module: Some(module), leaf: Some("weight") };
        let names = state_dict_names(&[odd, of("o-d.weight", "fc"), of("val_1", "o-d")]);
        assert_eq!(names, ["fc.weight", "o-d.weight", "val_1"]);
    }

    #[test]
    fn a_folded_normalisation_leaves_a_bias() {
        let folded =
            Hints { initializer: "conv1.weight_bias", leaf: Some("bias"), ..Hints::default() };
        assert_eq!(state_dict_name(folded), "conv1.bias");
        let other = Hints { leaf: Some("weight"), ..folded };
        assert_eq!(state_dict_name(other), "conv1.weight_bias");
    }

    #[test]
    fn odd_hints_do_no_harm() {
        for text in ["", "[", "[]", "]", "['']", "['', 'é']", "/", "//", "/é/", "a/b", "[,,,]"] {
            let module = module_path(text, Some(text));
            let hints = Hints { initializer: "w", module: module.as_deref(), leaf: Some("weight") };
            assert!(!state_dict_name(hints).is_empty());
        }
    }
}
