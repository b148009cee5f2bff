//! PyTorch state-dict names for initializers, recovered from what exporters leave behind.

use std::collections::BTreeMap;

/// What is known about one parameter.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hints<'a> {
    /// Name of the value in the file.
    pub initializer: &'a str,
    /// Whether the exporter says that the module calls it so.
    pub said: bool,
    /// What the module calls the tensor, where the exporter notes it at the node that reads it.
    pub called: Option<&'a str>,
    /// Path of the module that reads it; see [`module_path()`].
    pub module: Option<&'a str>,
    /// Whether TorchScript wrote the file.
    pub script: bool,
    /// The attribute a PyTorch module would hold it under, for example `weight`.
    pub leaf: Option<&'a str>,
    /// A number that parameters of one layer share, such as the weight and bias of a linear map.
    pub layer: Option<usize>,
}

impl Hints<'_> {
    /// Whether the initializer has the name that the module gave it: the exporter says so, or it is a
    /// path, whose parts may hold any character but a dot. TorchScript names nodes by modules, and then
    /// leaves the names of parameters alone or makes up its own.
    pub fn is_right(&self) -> bool {
        let name = self.initializer;
        let path = name.contains('.') && name.split('.').all(|part| !part.is_empty());
        !is_made_up(name) && (path || self.said || self.script)
    }
}

/// Whether a name is one that TorchScript gives to values of its own, such as `onnx::MatMul_43`,
/// `/layer1/Constant_output_0` or `193`.
pub(super) fn is_made_up(name: &str) -> bool {
    name.starts_with('/') || name.contains("::") || name.chars().all(|c| c.is_ascii_digit())
}

/// The state-dict name, from the first of these that there is: the initializer's own name if it is
/// right; what the module calls it; that of another parameter of the layer (`a.in_proj_bias` stands
/// beside `a.in_proj_weight`); the module with the leaf; the initializer's name as it stands.
/// `siblings` are right names in the layer.
///
/// A batch normalisation that the exporter folded into a convolution leaves `conv.weight_bias`,
/// which is `conv.bias` to PyTorch.
fn state_dict_name(hints: Hints, siblings: &[&str]) -> String {
    let raw = hints.initializer;
    if hints.is_right() {
        let folded = raw.strip_suffix(".weight_bias").filter(|_| hints.leaf == Some("bias"));
        return folded.map_or_else(|| raw.to_owned(), |module| format!("{module}.bias"));
    }
    if let Some(called) = hints.called {
        return called.to_owned();
    }
    let Some(leaf) = hints.leaf else { return raw.to_owned() };
    let module = hints.module;
    let beside = siblings.iter().find_map(|sibling| beside(sibling, module, leaf));
    let name = beside.or_else(|| Some(format!("{}.{leaf}", module?)));
    name.unwrap_or_else(|| raw.to_owned())
}

/// The name of a parameter beside another of the same layer, if that belongs to the module: exporters
/// may let a layer read an equal tensor of another one. PyTorch's layers call a pair alike, apart from the
/// words weight and bias.
fn beside(sibling: &str, module: Option<&str>, leaf: &str) -> Option<String> {
    let (own, other) = sibling.rsplit_once('.').unwrap_or(("", sibling));
    let last = |path: &str| path.rsplit('.').next().map(str::to_owned);
    // Paths from nodes lack containers that are not called, and parts that are not modules.
    let belongs = module.is_none_or(|module| {
        last(own) == last(module) || own.strip_prefix(module).is_some_and(|it| it.starts_with('.'))
    });
    if !belongs {
        return None;
    }
    let name = match (leaf.ends_with("weight"), leaf.ends_with("bias")) {
        (true, _) => other.contains("bias").then(|| other.replace("bias", "weight")),
        (_, true) => other.contains("weight").then(|| other.replace("weight", "bias")),
        _ => Some(leaf.to_owned()),
    };
    name.map(|name| if own.is_empty() { name } else { format!("{own}.{name}") })
}

/// Path of the module that a node is part of: from its `pkg.torch.onnx.name_scopes` metadata, a Python
/// list of module paths, or else from a TorchScript node name such as `/layer1/conv1/Conv`.
pub fn module_path(node: &str, scopes: Option<&str>) -> Option<String> {
    scopes.and_then(scope_path).or_else(|| node_path(node))
}

/// The tensors of a file by TorchScript or its successor whose names in the state dict are guesses: the
/// exporter made up names for them, and nothing else in their layer has kept its own.
pub fn guessed<'a>(all: &[Hints<'a>]) -> Vec<&'a str> {
    let kept = |layer: usize| all.iter().any(|it| it.layer == Some(layer) && it.is_right());
    let known = |hints: &Hints| hints.is_right() || hints.called.is_some();
    let guess = |hints: &&Hints| !known(hints) && !hints.layer.is_some_and(kept);
    all.iter().filter(guess).map(|hints| hints.initializer).collect()
}

/// Names for several parameters; those that would collide fall back to the initializers' own,
/// which are unique in a file.
pub fn state_dict_names(all: &[Hints]) -> Vec<String> {
    let mut layers: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for hints in all.iter().filter(|hints| hints.is_right()) {
        if let Some(layer) = hints.layer {
            layers.entry(layer).or_default().push(hints.initializer);
        }
    }
    let siblings = |hints: &Hints| layers.get(&hints.layer?).map(Vec::as_slice);
    let name = |hints: &Hints| state_dict_name(*hints, siblings(hints).unwrap_or_default());
    let mut names: Vec<String> = all.iter().map(name).collect();
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

/// The innermost module path of a list such as `['', 'layer1', 'layer1.0', 'conv2d']`, whose last
/// entry is the operator itself.
fn scope_path(scopes: &str) -> Option<String> {
    let inner = scopes.trim().strip_prefix('[')?.strip_suffix(']')?;
    let parts: Vec<&str> =
        inner.split(',').map(|part| part.trim().trim_matches(['\'', '"'])).collect();
    let path = parts.len().checked_sub(2).map(|index| parts[index])?;
    (!path.is_empty()).then(|| path.to_owned())
}

/// `/layer1/layer1.0/conv1/Conv` is `layer1.0.conv1`: the children of a sequence repeat its name.
fn node_path(node: &str) -> Option<String> {
    let parts: Vec<&str> = node.strip_prefix('/')?.split('/').collect();
    let (_, modules) = parts.split_last()?;
    let mut path: Vec<&str> = Vec::new();
    for module in modules {
        if path.last().is_some_and(|outer| module.starts_with(&format!("{outer}."))) {
            path.pop();
        }
        path.push(module);
    }
    Some(path.join(".")).filter(|path| !path.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tensor that a node of TorchScript reads.
    fn script<'a>(initializer: &'a str, module: &'a Option<String>, leaf: &'a str) -> Hints<'a> {
        let (module, leaf) = (module.as_deref(), Some(leaf));
        Hints { initializer, module, script: true, leaf, ..Hints::default() }
    }

    #[test]
    fn names_are_recovered_in_order() {
        let leaf = Some("weight");
        let dotted = Hints { initializer: "layer1.0.conv.weight", leaf, ..Hints::default() };
        assert_eq!(state_dict_name(dotted, &[]), "layer1.0.conv.weight");
        let module = module_path("node_conv2d_3", Some("['', 'layer1', 'layer1.0', 'conv2d_3']"));
        let module = module.as_deref();
        let scoped = Hints { initializer: "val_27", module, leaf, ..Hints::default() };
        assert_eq!(state_dict_name(scoped, &[]), "layer1.0.weight");
        let paths = [
            ("/layer1/layer1.0/conv1/Conv", "layer1.0.conv1.weight"),
            ("/body/blocks/blocks.0/blocks.0.1/Conv", "body.blocks.0.1.weight"),
        ];
        for (node, expected) in paths {
            let module = module_path(node, None);
            let name = state_dict_name(script("onnx::Conv_43", &module, "weight"), &[]);
            assert_eq!(name, expected);
        }
        assert_eq!(module_path("Times212", None), None);
        let raw = Hints { initializer: "Parameter193", leaf, ..Hints::default() };
        assert_eq!(state_dict_name(raw, &[]), "Parameter193");
    }

    #[test]
    fn a_name_that_is_right_stays() {
        let name = |initializer, node, said| {
            let module = module_path(node, None);
            state_dict_name(Hints { said, ..script(initializer, &module, "weight") }, &[])
        };
        for right in ["d.in-proj.bias", "d.out proj.weight", "é.0.w", "a.in_proj_weight"] {
            assert_eq!(name(right, "/in-proj/MatMul", false), right);
        }
        // Parameters of the outermost module have no dots.
        assert_eq!(name("w", "/inner/MatMul", false), "w");
        let (module, leaf) = (Some("fc"), Some("weight"));
        let dynamo = Hints { initializer: "w", module, leaf, ..Hints::default() };
        assert_eq!(state_dict_name(Hints { said: true, ..dynamo }, &[]), "w");
        assert_eq!(state_dict_name(dynamo, &[]), "fc.weight");
        for made_up in ["onnx::MatMul_15", "193", "/a/b.0/Constant_output_0"] {
            assert_eq!(name(made_up, "/fc/MatMul", true), "fc.weight", "{made_up}");
        }
    }

    #[test]
    fn a_layer_names_its_parameters_alike() {
        let name = |node, sibling, leaf| {
            let (layer, module) = (Some(7), module_path(node, None));
            let made_up = Hints { layer, ..script("onnx::MatMul_161", &module, leaf) };
            let right = Hints { leaf: None, layer, ..script(sibling, &module, leaf) };
            let other = Hints { initializer: "b.1.bias", layer: Some(8), ..Hints::default() };
            state_dict_names(&[other, made_up, right]).swap_remove(1)
        };
        let cases = [
            ("/out proj/MatMul", "d.out proj.bias", "weight", "d.out proj.weight"),
            ("/a/MatMul", "x.a.in_proj_bias", "weight", "x.a.in_proj_weight"),
            ("/MatMul", "in_proj_bias", "in_proj_weight", "in_proj_weight"),
            ("/a/MatMul_3", "a.out_proj.bias", "out_proj.weight", "a.out_proj.weight"),
            ("/rnn/MatMul", "rnn.bias_ih_l0", "weight", "rnn.weight_ih_l0"),
            ("/a/a.0/Gemm", "p.a.0.weight", "bias", "p.a.0.bias"),
            ("/bn/BatchNormalization", "p.bn.bias", "running_mean", "p.bn.running_mean"),
            ("/a/Mul", "a.gamma", "weight", "a.weight"),
            // The bias is that of an equal normalisation.
            ("/block/conv/Conv", "block.bn.bias", "weight", "block.conv.weight"),
        ];
        for (node, sibling, leaf, expected) in cases {
            assert_eq!(name(node, sibling, leaf), expected);
        }
    }

    #[test]
    fn collisions_fall_back_to_the_initializers() {
        let of = |initializer, module| Hints {
            initializer,
            module: Some(module),
            leaf: Some("weight"),
            ..Hints::default()
        };
        assert_eq!(state_dict_names(&[of("11", "fc"), of("12", "fc")]), ["11", "12"]);
        // A name that falls back may collide in turn.
        let odd = Hints { initializer: "fc.weight", ..Hints::default() };
        let names = state_dict_names(&[odd, of("o::d.weight", "fc"), of("val_1", "o::d")]);
        assert_eq!(names, ["fc.weight", "o::d.weight", "val_1"]);
    }

    #[test]
    fn a_folded_normalisation_leaves_a_bias() {
        let folded =
            Hints { initializer: "conv1.weight_bias", leaf: Some("bias"), ..Hints::default() };
        assert_eq!(state_dict_name(folded, &[]), "conv1.bias");
        let other = Hints { leaf: Some("weight"), ..folded };
        assert_eq!(state_dict_name(other, &[]), "conv1.weight_bias");
    }

    #[test]
    fn odd_hints_do_no_harm() {
        for text in ["", "[", "[]", "]", "['']", "['', 'é']", "/", "//", "/é/", "a/b", "[,,,]"] {
            let module = module_path(text, Some(text));
            assert!(!state_dict_name(script("w", &module, "weight"), &[text]).is_empty());
        }
    }
}
