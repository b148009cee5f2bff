//! Batch normalisations that an exporter folded into the convolution in front of them. Where names or
//! metadata show it, the graph has the normalisation again: TorchScript calls both tensors of such a
//! convolution by numbers (`onnx::Conv_12`), and PyTorch's newer exporter notes the rule that it applied.
//! Weights are predicted with the normalisation and folded when they are written.

use std::sync::Arc;

use super::{
    super::{
        Attribute, Form, NodeIndex, Operand, Origin, Parameter, Role, Storage, StorageMap, Tensor,
        Wiring,
    },
    edit::Editor,
    removed_bias::{self, ModuleBias},
};

/// PyTorch's default, which the folded tensors do not tell.
const EPSILON: f32 = 1e-5;

/// The rule of PyTorch's exporter.
const RULE: &str = "FuseBatchNormInto";

/// What the user should know where a convolution has a bias of its own in the module.
const FOLDED_BIAS: &str = "biases of convolutions are folded together with the batch normalisations behind \
                           them, so that the state dict lacks them: set them to zero in the module, or export \
                           it with torch.onnx.export(…, dynamo=True, optimize=False, \
                           keep_initializers_as_inputs=True), which keeps them";

/// Gives a convolution its normalisation back. A bias of the convolution's own stays out: the mean makes up
/// for it, and TorchScript's files do not tell whether there was one.
pub(super) fn unfold(editor: &mut Editor, node: NodeIndex) -> Option<()> {
    editor.is(node, "Conv").then_some(())?;
    let weight = editor.parameter(editor.input(node, 1))?;
    let bias = editor.parameter(editor.input(node, 2));
    let tensor = |id: super::super::ParameterId| &editor.architecture.parameters[id.0];
    let own = tensor(weight).clone();
    let is_folded = editor.node(node).rules.contains(RULE)
        || bias.is_some_and(|bias| names_show_it(&own.name, &tensor(bias).name));
    // Uses that are not known yet are after the next inference.
    let convolutions = editor.readers(Operand::Parameter(weight)).to_vec();
    let mut convolutions: Vec<NodeIndex> = convolutions.into_iter().map(|(node, _)| node).collect();
    convolutions.sort_unstable();
    let direct = |id| {
        let readers = editor.readers(Operand::Parameter(id)).iter().map(|(node, _)| *node);
        let mut readers: Vec<NodeIndex> = readers.collect();
        readers.sort_unstable();
        editor.architecture.storage_of(id).is_none()
            && readers == convolutions
            && !tensor(id).slots.is_empty()
    };
    // A block that is used in several places is folded in all of them.
    let alike = convolutions.iter().all(|&other| {
        editor.is(other, "Conv")
            && [1, 2].iter().all(|&slot| editor.input(other, slot) == editor.input(node, slot))
    });
    let stored = direct(weight) && bias.is_none_or(direct);
    let settable = bias.is_some() || convolutions.iter().all(|it| !editor.node(*it).inlined);
    if !is_folded
        || !alike
        || !stored
        || !settable
        || own.dtype != bias.map_or(own.dtype, |it| tensor(it).dtype)
    {
        return None;
    }
    let channels = own.shape.as_ref()?.first().copied().filter(|&count| count > 0)?;
    let shapes: Option<Vec<Vec<usize>>> = convolutions
        .iter()
        .map(|&node| editor.shape(Operand::Node { node, slot: 0 }).map(<[usize]>::to_vec))
        .collect();
    let shapes = shapes?;

    // The newer exporter leaves the node to the module of the normalisation.
    let module = editor.node(node).module.clone();
    let of_weight = own.name.rsplit_once('.').map(|(module, _)| module.to_owned());
    let norm = module.clone().filter(|module| of_weight.as_ref().is_some_and(|own| own != module));
    let mut further = Vec::new();
    let mut from = vec![weight];
    match bias {
        Some(bias) => from.push(bias),
        None => further.push(Parameter {
            name: editor.free_name(&format!("{}_bias", own.name)),
            dtype: own.dtype,
            shape: Some(vec![channels]),
            origin: Origin::Undefined,
            value: Some(Tensor::full(vec![channels], 0.0)),
            wiring: Wiring {
                supplants: Vec::new(),
                inputs: convolutions.iter().map(|&it| [editor.node(it).position, 2]).collect(),
            },
            module: own.module.clone(),
            ..Parameter::default()
        }),
    }
    let base = norm.clone().unwrap_or_else(|| format!("{}/norm", own.name));
    let vector = |role: Role| Parameter {
        name: format!("{base}.{}", role.torch_attribute().unwrap_or_default()),
        dtype: own.dtype,
        shape: Some(vec![channels]),
        ..Parameter::default()
    };
    let roles = [Role::Gain, Role::Shift, Role::RunningMean, Role::RunningVariance];
    let parameters = std::iter::once(own.clone()).chain(roles.map(vector)).collect();
    let own_bias = removed_bias::in_module(editor, node, &own.name);
    if norm.is_some() && matches!(own_bias, ModuleBias::Named(_)) {
        editor.notice(FOLDED_BIAS.to_owned());
    }
    if norm.is_none() {
        editor.notice(
            "batch normalisations are folded into convolutions, so that the state dict does not fit the \
             module; torch.onnx.export(…, dynamo=True, optimize=False, keep_initializers_as_inputs=True) \
             keeps them apart"
                .to_owned(),
        );
    }
    let storage = |parameters, tensors| Storage {
        parameters,
        tensors,
        map: Arc::new(FoldedNorm { channels }),
        in_state_dict: if norm.is_some() { Form::Parameters } else { Form::Tensors },
    };
    let made = editor.compose(&from, further, parameters, storage);
    let attributes = [
        ("epsilon", Attribute::Float(EPSILON)),
        ("momentum", Attribute::Float(0.9)),
        ("training_mode", Attribute::Int(0)),
    ];
    for (node, shape) in convolutions.into_iter().zip(shapes) {
        let output = Operand::Node { node, slot: 0 };
        let inputs = [output, made[1], made[2], made[3], made[4]];
        let normalised =
            editor.insert_behind(node, "BatchNormalization", &attributes, &inputs, shape);
        editor.set_module(normalised, norm.clone());
        let x = editor.input(node, 0);
        editor.set_inputs(node, &[x, made[0]]);
        if matches!(own_bias, ModuleBias::Unknown) {
            removed_bias::mention(editor, node);
        }
        editor.clear_rules(node);
    }
    Some(())
}

/// Whether a tensor of a convolution is called as TorchScript calls what it folds.
pub(super) fn is_numbered(name: &str) -> bool {
    let number = name.strip_prefix("onnx::Conv_");
    number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether a weight and a bias are called as exporters call what they fold.
fn names_show_it(weight: &str, bias: &str) -> bool {
    is_numbered(weight) && is_numbered(bias) || bias.strip_suffix("_bias") == Some(weight)
}

/// Weight, gain, shift, mean and variance as one weight and one bias.
#[derive(Debug)]
struct FoldedNorm {
    channels: usize,
}

impl StorageMap for FoldedNorm {
    /// The weight as it is, behind a normalisation that only adds the bias.
    fn parameters(&self, tensors: &[&[f32]]) -> Vec<Vec<f32>> {
        let all = |value: f32| vec![value; self.channels];
        vec![tensors[0].to_vec(), all(1.0), tensors[1].to_vec(), all(0.0), all(1.0 - EPSILON)]
    }

    fn tensor(&self, place: usize, parameters: &[&[f32]]) -> Vec<f32> {
        let [weight, gain, shift, mean, variance] =
            [0, 1, 2, 3, 4].map(|place| parameters.get(place).copied().unwrap_or_default());
        let factor = |channel: usize| gain[channel] / (variance[channel] + EPSILON).sqrt();
        match place {
            0 => {
                let rows = weight.chunks((weight.len() / self.channels).max(1)).enumerate();
                let scaled = rows.flat_map(|(channel, row)| {
                    let factor = factor(channel);
                    row.iter().map(move |value| factor * value)
                });
                scaled.collect()
            }
            _ => {
                let bias = |channel: usize| shift[channel] - mean[channel] * factor(channel);
                (0..self.channels).map(bias).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn folding_and_unfolding_agree() {
        let map = FoldedNorm { channels: 2 };
        let parameters: [&[f32]; 5] =
            [&[1.0, 2.0, 3.0, 4.0], &[2.0, 0.5], &[0.1, 0.2], &[0.3, -1.0], &[4.0, 0.25]];
        let tensors = [map.tensor(0, &parameters), map.tensor(1, &parameters)];
        assert_relative_eq!(tensors[0][..], [1.0, 2.0, 3.0, 4.0], epsilon = 1e-4);
        assert_relative_eq!(tensors[1][..], [-0.2, 1.2], epsilon = 1e-4);
        let again = map.parameters(&[&tensors[0], &tensors[1]]);
        let again: Vec<&[f32]> = again.iter().map(Vec::as_slice).collect();
        assert_relative_eq!(map.tensor(0, &again)[..], tensors[0][..], epsilon = 1e-6);
        assert_relative_eq!(map.tensor(1, &again)[..], tensors[1][..], epsilon = 1e-6);
    }

    #[test]
    fn names_of_folded_tensors_are_known() {
        assert!(names_show_it("onnx::Conv_12", "onnx::Conv_13"));
        assert!(names_show_it("conv.weight", "conv.weight_bias"));
        assert!(!names_show_it("onnx::Conv_12", "conv.bias"));
        assert!(!names_show_it("conv.weight", "conv.bias"));
    }
}
