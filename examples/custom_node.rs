//! An operator of one's own, in one file: `cargo run --release --example custom_node`.
//!
//! `com.example::ScaledTanhConv` computes scale · tanh(x ∗ weight), a convolution over a window of
//! odd size that keeps the image's extent, strides of one, one scale per output channel. No predictor
//! has met it, so it is taken for the mean of the convolutions that the predictor knows.

use std::{error::Error, sync::LazyLock};

use burn::tensor::{Device, Tensor, module, ops::ConvOptions};
use onnx_protobuf::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorShapeProto, TypeProto,
    ValueInfoProto, tensor_shape_proto::Dimension, type_proto,
};
use protobuf::{Message, MessageField};
use weightsmith::{
    execute::{execute, upload_weights},
    graph::{self, Architecture, Fact, Layout, Node, Role},
    onnx::Model,
    ops::{Array, Features, OpError, Operator, OperatorFamily, Registry, SlotRule, resolve},
    predictor::{ValueSource, bundled},
};

const DOMAIN: &str = "com.example";
const CHANNELS: usize = 16;

/// x `[N, C, H, W]`, weight `[O, C, k, k]` with an odd k, scale `[O]`; output `[N, O, H, W]`.
struct ScaledTanhConv;

impl ScaledTanhConv {
    /// The shape of an input of a fixed rank; `None` where it is not known yet.
    fn shape<const D: usize>(
        inputs: &[Option<Fact>],
        input: usize,
    ) -> Result<Option<[usize; D]>, OpError> {
        let wrong = |problem| OpError::Input { input, problem };
        let fact = inputs.get(input).and_then(Option::as_ref);
        let fact = fact.ok_or_else(|| wrong("is missing".to_owned()))?;
        let Some(shape) = &fact.shape else { return Ok(None) };
        let fixed = shape.as_slice().try_into();
        fixed.map(Some).map_err(|_| wrong(format!("shape {shape:?} is not of rank {D}")))
    }
}

impl Operator for ScaledTanhConv {
    fn op_type(&self) -> &'static str {
        "ScaledTanhConv"
    }

    fn domain(&self) -> &'static str {
        DOMAIN
    }

    fn since(&self) -> &'static [i64] {
        &[1]
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Convolution
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let image = Self::shape::<4>(inputs, 0)?;
        let weight = Self::shape::<4>(inputs, 1)?;
        let shape = match (image, weight) {
            (Some([batch, channels, height, width]), Some([outputs, ins, rows, columns])) => {
                if ins != channels || rows != columns || rows % 2 == 0 {
                    let problem = format!("is no odd, square window over {channels} channels");
                    return Err(OpError::Input { input: 1, problem });
                }
                Some(vec![batch, outputs, height, width])
            }
            _ => None,
        };
        let declared = node.outputs.first().cloned().unwrap_or_default();
        Ok(vec![Fact { dtype: inputs[0].as_ref().and_then(|x| x.dtype), shape, ..declared }])
    }

    fn slots(&self, _node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<SlotRule>, OpError> {
        let weight = Self::shape::<4>(inputs, 1)?;
        let fan_in = weight.map(|[_, channels, rows, columns]| channels * rows * columns);
        let rule = |input, role, layout, fan_in, shape| SlotRule {
            input,
            role,
            layout,
            groups: 1,
            fan_in,
            shape,
        };
        let scale = weight.map(|[outputs, ..]| vec![outputs]);
        Ok(vec![
            rule(1, Role::Weight, Layout::OutIn, fan_in, None),
            rule(2, Role::Gain, Layout::Vector, Some(1), scale),
        ])
    }

    fn features(&self, _node: &Node, inputs: &[Option<Fact>]) -> Features {
        let kernel = match Self::shape::<4>(inputs, 1) {
            Ok(Some([_, _, rows, columns])) => [rows, columns],
            _ => [0; 2],
        };
        Features { kernel, stride: [1; 2], dilation: [1; 2], groups: 1 }
    }

    fn execute(
        &self,
        _node: &Node,
        inputs: &[Option<Array>],
        _device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let input = |input: usize| {
            let missing = OpError::Input { input, problem: "is missing".to_owned() };
            inputs.get(input).and_then(Option::as_ref).ok_or(missing)
        };
        let x: Tensor<4> = input(0)?.rank(0)?;
        let weight: Tensor<4> = input(1)?.rank(1)?;
        let [outputs, _, rows, columns] = weight.dims();
        let scale: Tensor<4> = input(2)?.view(2, [1, outputs, 1, 1])?;
        let options = ConvOptions::new([1, 1], [rows / 2, columns / 2], [1, 1], 1);
        Ok(vec![Array::of(module::conv2d(x, weight, None, options).tanh() * scale)])
    }
}

/// The operators of weightsmith and this one.
static REGISTRY: LazyLock<Registry> =
    LazyLock::new(|| Registry::with(vec![Box::new(ScaledTanhConv)]));

fn main() -> Result<(), Box<dyn Error>> {
    let model = Model::from_bytes("custom", network().write_to_bytes()?.into())?;
    let mut architecture = Architecture::from_model(&model)?;
    let resolution = resolve(&mut architecture, &REGISTRY)?;
    assert!(resolution.unsupported.is_empty(), "{:?}", resolution.unsupported);
    for &index in &architecture.order {
        let node = &architecture.dag[index];
        let shape = node.outputs[0].shape.as_deref().unwrap_or_default();
        println!("{:<18} → {shape:?}", node.op_type);
    }

    let device = Device::flex();
    let predictor = bundled("cifar10", &device)?;
    let prediction = predictor.predict(&architecture, &REGISTRY, |_| false)?;
    for stand_in in &prediction.stand_ins {
        println!("note: {stand_in}");
    }
    for ((parameter, values), label) in
        architecture.parameters.iter().zip(&prediction.weights).zip(&prediction.labels)
    {
        assert_eq!(*label, ValueSource::Predicted);
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f32>();
        let deviation = (variance / values.len() as f32).sqrt();
        println!(
            "predicted {:<13} {:>4} values, {mean:.3} ± {deviation:.3}",
            parameter.name,
            values.len()
        );
    }

    let shape = vec![1, 3, 32, 32];
    let data = (0..3 * 32 * 32).map(|index| (index as f32 * 0.1).sin()).collect();
    let image = Array::upload(&graph::Tensor { shape, data }, &device);
    let weights = upload_weights(&architecture, &prediction.weights, &device);
    let logits = execute(&architecture, &REGISTRY, &weights, &[image], &device)?[0].download();
    assert!(logits.len() == 10 && logits.iter().all(|logit| logit.is_finite()));
    println!("logits {logits:.3?}");
    Ok(())
}

/// Two of the operators, a pooling and a classifier. Weights are listed as inputs without values; of
/// operators that the reader does not know it tells them from images by names such as `.gamma`.
fn network() -> ModelProto {
    let node = |op_type: &str, domain: &str, inputs: &[&str], output: &str| NodeProto {
        op_type: op_type.to_owned(),
        domain: domain.to_owned(),
        input: inputs.iter().map(|&input| input.to_owned()).collect(),
        output: vec![output.to_owned()],
        ..NodeProto::new()
    };
    let channels = CHANNELS as i64;
    let opset = |domain: &str, version| OperatorSetIdProto {
        domain: domain.to_owned(),
        version,
        ..OperatorSetIdProto::new()
    };
    let graph = GraphProto {
        name: "custom".to_owned(),
        node: vec![
            node("ScaledTanhConv", DOMAIN, &["image", "first.weight", "first.gamma"], "a"),
            node("ScaledTanhConv", DOMAIN, &["a", "second.weight", "second.gamma"], "b"),
            node("GlobalAveragePool", "", &["b"], "c"),
            node("Flatten", "", &["c"], "d"),
            node("Gemm", "", &["d", "head.weight", "head.bias"], "logits"),
        ],
        input: vec![
            value("image", &[1, 3, 32, 32]),
            value("first.weight", &[channels, 3, 3, 3]),
            value("first.gamma", &[channels]),
            value("second.weight", &[channels, channels, 5, 5]),
            value("second.gamma", &[channels]),
            value("head.weight", &[channels, 10]),
            value("head.bias", &[10]),
        ],
        output: vec![value("logits", &[1, 10])],
        ..GraphProto::new()
    };
    ModelProto {
        ir_version: 8,
        opset_import: vec![opset("", 17), opset(DOMAIN, 1)],
        graph: MessageField::some(graph),
        ..ModelProto::new()
    }
}

/// A named tensor of floats.
fn value(name: &str, shape: &[i64]) -> ValueInfoProto {
    let dimension = |&extent: &i64| {
        let mut dimension = Dimension::new();
        dimension.set_dim_value(extent);
        dimension
    };
    let tensor = type_proto::Tensor {
        elem_type: 1,
        shape: MessageField::some(TensorShapeProto {
            dim: shape.iter().map(dimension).collect(),
            ..TensorShapeProto::new()
        }),
        ..type_proto::Tensor::new()
    };
    let mut kind = TypeProto::new();
    kind.set_tensor_type(tensor);
    ValueInfoProto {
        name: name.to_owned(),
        type_: MessageField::some(kind),
        ..ValueInfoProto::new()
    }
}
