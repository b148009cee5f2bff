//! Biases that an exporter removed because they are zero, as they are in a fresh network. PyTorch's newer
//! exporter notes it; where it writes a `Gemm`, the linear map has a bias. It adds a bias of zeros to every
//! convolution, so that nothing can be said of those.

use super::{
    super::{NodeIndex, Parameter, Tensor, Wiring},
    edit::Editor,
};

/// The rule of PyTorch's exporter.
const RULE: &str = "RemoveOptionalBiasFromGemm";

pub(super) fn restore(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    let own = editor.node(node);
    let removed = editor.is(node, "Gemm") && own.inputs.len() == 2 && own.rules.contains(RULE);
    (removed && !own.inlined).then_some(())?;
    let weight = editor.parameter(editor.input(node, 1))?;
    let weight = editor.architecture.parameters[weight.0].clone();
    let transposed = own.attributes.int("transB", 0) == Ok(1);
    let outputs = *weight.shape.as_ref()?.get(usize::from(!transposed))?;
    let position = own.position;
    let name = weight.name.strip_suffix("weight").map(|module| format!("{module}bias"))?;
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
