//! Biases that an exporter removed because they are zero, as they are in a fresh network. PyTorch's newer
//! exporter notes it, and mostly lists the tensors of the module, too, so that a bias comes back where the
//! module has one. Without the list, a `Gemm` that lost one had it. To a convolution without a bias the
//! exporter adds one of zeros before, so that nothing is certain there: beside batch normalisation
//! convolutions have no bias, apart from those that gate channels behind a global pool.

use super::{
    super::{Node, NodeIndex, Parameter, Role, Tensor, Wiring},
    edit::Editor,
};

/// The rule of PyTorch's exporter.
const RULE: &str = "RemoveOptionalBiasFrom";

/// What the user should know where it is not certain.
const NOTICE: &str = "the exporter removed biases of zero from convolutions; where the module has them, the state \
                      dict lacks them: torch.onnx.export(…, dynamo=True, optimize=False, \
                      keep_initializers_as_inputs=True) keeps them";

/// What is known of the bias that a layer has in the module.
pub(super) enum ModuleBias {
    /// It is called so.
    Named(String),
    /// There is none.
    Absent,
    /// The exporter does not say.
    Unknown,
}

/// The bias in the module of a layer with a weight of that name.
pub(super) fn in_module(editor: &Editor, node: NodeIndex, weight: &str) -> ModuleBias {
    let known = |name: Option<String>| name.map_or(ModuleBias::Absent, ModuleBias::Named);
    let call = editor.node(node).call.as_ref();
    if let Some(call) = call.filter(|call| call.tensors.iter().any(|name| name == weight)) {
        return known(call.tensor(Role::Bias).filter(|name| *name != weight).map(str::to_owned));
    }
    // Where a normalisation is folded in, the note is that of its call.
    let tensors = &editor.architecture.module_tensors;
    match beside(weight) {
        Some(name) if tensors.contains(weight) => {
            known(Some(name).filter(|it| tensors.contains(it)))
        }
        _ => ModuleBias::Unknown,
    }
}

pub(super) fn restore(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    let own = editor.node(node);
    let linear = editor.is(node, "Gemm") || editor.is(node, "Conv");
    let removed = linear && own.inputs.len() == 2 && own.rules.contains(RULE);
    (removed && !own.inlined).then_some(())?;
    let weight = editor.parameter(editor.input(node, 1))?;
    let weight = editor.architecture.parameters[weight.0].clone();
    let name = match in_module(editor, node, &weight.name) {
        ModuleBias::Named(name) => name,
        ModuleBias::Absent => return None,
        ModuleBias::Unknown => {
            let gates = editor.shape(editor.input(node, 0))?.get(2..) == Some(&[1, 1]);
            if editor.is(node, "Conv") && !gates && editor.node_weights().any(normalises) {
                mention(editor, node);
                return None;
            }
            beside(&weight.name)?
        }
    };
    let own = editor.node(node);
    let by_columns = editor.is(node, "Gemm") && own.attributes.int("transB", 0) == Ok(0);
    let outputs = *weight.shape.as_ref()?.get(usize::from(by_columns))?;
    let position = own.position;
    let bias = editor.add_parameter(Parameter {
        name: editor.free_name(&name),
        dtype: weight.dtype,
        shape: Some(vec![outputs]),
        value: Some(Tensor::full(vec![outputs], 0.0)),
        wiring: Wiring { supplants: Vec::new(), inputs: vec![[position, 2]] },
        ..Parameter::default()
    });
    editor.set_input(node, 2, bias);
    Some(())
}

/// Says that a convolution may have had a bias, if the exporter removed one.
pub(super) fn mention(editor: &mut Editor, node: NodeIndex) {
    if editor.node(node).rules.contains(RULE) {
        editor.notice(NOTICE.to_owned());
    }
}

/// What PyTorch calls the bias beside a weight.
fn beside(weight: &str) -> Option<String> {
    weight.strip_suffix("weight").map(|module| format!("{module}bias"))
}

/// Whether a node is a batch normalisation, or has one folded into it.
fn normalises(node: &Node) -> bool {
    node.op_type == "BatchNormalization" || node.rules.contains("FuseBatchNorm")
}
