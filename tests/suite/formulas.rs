//! Operators that are written as formulas: the canonical graph has the operator, and computes the same.

use onnx_protobuf::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto,
    attribute_proto::AttributeType,
    tensor_shape_proto::{Dimension, dimension},
    type_proto,
};
use protobuf::{Message, MessageField};
use weightsmith::{
    graph::{Architecture, Scores, Tensor},
    onnx::Model,
    ops::{Registry, resolve_with_input},
};

use crate::spellings::{canonical, operators, run};

/// A graph from x to y in lines such as `y = ReduceMean(axes=-1&keepdims=0) x`. Numbers are scalars, `w[4,1]` is a
/// tensor of that shape, `zeros[4,1]` one of zeros, `_` an input left out.
fn model(formula: &str, shape: &[usize], opset: i64) -> Model {
    let mut graph = GraphProto { name: "it".into(), ..Default::default() };
    for line in formula.split(';') {
        let mut words = line.split_whitespace();
        let output = words.next().unwrap().to_owned();
        let call = words.nth(1).unwrap().trim_end_matches(')');
        let (op_type, attributes) = call.split_once('(').unwrap_or((call, ""));
        let (domain, op_type) = op_type.split_once(':').unwrap_or(("", op_type));
        let inputs = words.map(|word| operand(&mut graph, word)).collect();
        graph.node.push(NodeProto {
            domain: domain.to_owned(),
            op_type: op_type.to_owned(),
            input: inputs,
            output: vec![output],
            attribute: attributes.split_terminator('&').map(attribute).collect(),
            ..Default::default()
        });
    }
    graph.input.push(value("x", shape));
    graph.output.push(value("y", shape));
    let import = |domain: &str, version| OperatorSetIdProto {
        domain: domain.to_owned(),
        version,
        ..Default::default()
    };
    let model = ModelProto {
        ir_version: 8,
        opset_import: vec![import("", opset), import("com.microsoft", 1)],
        graph: MessageField::some(graph),
        ..Default::default()
    };
    Model::from_bytes(formula, model.write_to_bytes().unwrap().into()).unwrap()
}

fn operand(graph: &mut GraphProto, word: &str) -> String {
    let (shape, values) = match (word.parse::<f32>(), word.split_once('[')) {
        (Ok(number), _) => (vec![], vec![number]),
        (_, Some((_, shape))) => {
            let extents = shape.trim_end_matches(']').split(',').map(|it| it.parse().unwrap());
            let shape: Vec<i64> = extents.collect();
            let count = shape.iter().product::<i64>();
            let value =
                |index| if word.starts_with("zeros") { 0.0 } else { 0.5 + 0.3 * index as f32 };
            (shape, (0..count).map(value).collect())
        }
        _ => return word.trim_matches('_').to_owned(),
    };
    if graph.initializer.iter().all(|tensor| tensor.name != word) {
        graph.initializer.push(TensorProto {
            name: word.to_owned(),
            dims: shape,
            data_type: 1,
            float_data: values,
            ..Default::default()
        });
    }
    word.to_owned()
}

fn attribute(word: &str) -> AttributeProto {
    let (name, value) = word.split_once('=').unwrap();
    let ints: Vec<i64> = value.split(',').map(|it| it.parse().unwrap()).collect();
    let mut attribute = AttributeProto { name: name.to_owned(), ..Default::default() };
    match (name, &ints[..]) {
        ("axes" | "kernel_shape" | "pads" | "strides", _) => {
            attribute.ints = ints;
            attribute.type_ = AttributeType::INTS.into();
        }
        ("value" | "min" | "max", _) => {
            attribute.f = ints[0] as f32;
            attribute.type_ = AttributeType::FLOAT.into();
        }
        _ => {
            attribute.i = ints[0];
            attribute.type_ = AttributeType::INT.into();
        }
    }
    attribute
}

fn value(name: &str, shape: &[usize]) -> ValueInfoProto {
    let dimension = |&extent: &usize| Dimension {
        value: Some(dimension::Value::DimValue(extent as i64)),
        ..Default::default()
    };
    let tensor = type_proto::Tensor {
        elem_type: 1,
        shape: MessageField::some(TensorShapeProto {
            dim: shape.iter().map(dimension).collect(),
            ..Default::default()
        }),
        ..Default::default()
    };
    ValueInfoProto {
        name: name.to_owned(),
        type_: MessageField::some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// The operators of the canonical graph, which must compute what the file does.
fn assert_becomes(formula: &str, shape: &[usize], expected: &str) {
    assert_becomes_at(13, formula, shape, expected);
}

fn assert_becomes_at(opset: i64, formula: &str, shape: &[usize], expected: &str) {
    let model = model(formula, shape, opset);
    let mut plain = Architecture::from_model(&model).unwrap();
    resolve_with_input(&mut plain, shape, &Registry::standard()).unwrap();
    let canonical = canonical(&model);
    assert_eq!(operators(&canonical).join(" "), expected, "{formula}");
    let count = shape.iter().product::<usize>();
    let data = (0..count).map(|index| 7.0 * (index as f32 * 0.37).sin()).collect();
    let image = Tensor { shape: shape.to_vec(), data };
    let [own, other] = [&plain, &canonical].map(|it| run(it, &model, image.clone()).unwrap());
    for (own, other) in own.iter().zip(&other) {
        approx::assert_abs_diff_eq!(own, other, epsilon = 1e-4);
    }
}

#[test]
fn activations_are_recognised() {
    for (formula, expected) in [
        ("h = Mul x 0.5; a = Mul x 0.70710678; e = Erf a; p = Add 1 e; y = Mul h p", "Gelu"),
        ("a = Div x 1.4142135; e = Erf a; g = Mul e 0.5; p = Add g 0.5; y = Mul p x", "Gelu"),
        (
            "q = Mul x x; c = Mul q 0.044715; p = Add c 1; k = Mul x 0.7978846; z = Mul k p; \
             t = Tanh z; a = Add 1 t; h = Mul 0.5 x; y = Mul a h",
            "Gelu",
        ),
        ("s = Sigmoid x; y = Mul s x", "Sigmoid Mul"),
        ("n = Neg x; e = Exp n; d = Add e 1; y = Div x d", "Sigmoid Mul"),
        ("n = Neg x; e = Exp n; d = Add 1 e; y = Div 1 d", "Sigmoid"),
        ("a = Add x 3; c = Clip a 0 6; m = Mul x c; y = Div m 6", "HardSwish"),
        ("a = Add 3 x; r = Relu a; m = Min r 6; s = Mul m 0.16666667; y = Mul s x", "HardSwish"),
        ("a = Add x 3; m = Max a 0; c = Min m 6; y = Div c 6", "HardSigmoid"),
        ("a = Div x 6; b = Add a 0.5; y = Clip b 0 1", "HardSigmoid"),
        ("e = Exp x; p = Add e 1; l = Log p; t = Tanh l; y = Mul t x", "Mish"),
        ("a = Max x 0; y = Min 6 a", "Clip"),
        ("a = Relu x; y = Clip a _ 6", "Clip"),
        ("a = Clip x _ 6; y = Relu a", "Clip"),
        ("a = Min x 1; y = Max a -1", "Clip"),
        ("y = Clip x 0 _", "Relu"),
        ("y = com.microsoft:Gelu x", "Gelu"),
    ] {
        assert_becomes(formula, &[2, 3, 4, 4], expected);
    }
}

#[test]
fn what_only_looks_alike_stays() {
    for (formula, expected) in [
        (
            "a = Div x 1.4142135; e = Erf a; p = Add e 1; m = Mul x p; y = Mul m 0.6",
            "Div Erf Add Mul Mul",
        ),
        (
            "n = Neg x; a = Div n 1.4142135; e = Erf a; p = Add e 1; y = Mul n p",
            "Neg Div Erf Add Mul",
        ),
        ("k = Mul x 1.702; s = Sigmoid k; y = Mul x s", "Mul Sigmoid Mul"),
        ("a = Add x 2; c = Clip a 0 6; m = Mul x c; y = Div m 6", "Add Clip Mul Div"),
        ("a = Relu x; y = Relu a", "Relu Relu"),
        (
            "q = Mul x x; m = ReduceMean(axes=1) q; e = Add m 0.1; s = Sqrt e; y = Div x s",
            "Mul ReduceMean Add Sqrt Div",
        ),
    ] {
        assert_becomes(formula, &[2, 3, 4, 4], expected);
    }
}

#[test]
fn attention_without_a_mask_needs_no_guard() {
    let guarded =
        |scores: &str| format!("{scores}; p = Softmax(axis=-1) s; n = IsNaN p; y = Where n 0 p");
    let shape = [2, 3, 4, 4];
    assert_becomes(&guarded("m = MatMul x x; s = Mul m 0.5"), &shape, "MatMul Mul Softmax");
    assert_becomes(
        &guarded("m = MatMul x x; l = Log x; s = Add m l"),
        &shape,
        "MatMul Log Add Softmax IsNaN Where",
    );
}

#[test]
fn a_mask_is_no_parameter() {
    let masked = |mask: &str| format!("m = MatMul x x; s = Add m {mask}; y = Softmax(axis=-1) s");
    assert_becomes(&masked("zeros[1,1,4,4]"), &[2, 3, 4, 4], "MatMul Softmax");
    // What differs between heads is learned, and so is what is no mask.
    assert_becomes(&masked("zeros[1,3,4,4]"), &[2, 3, 4, 4], "MatMul Add Softmax");
    assert_becomes(&masked("w[1,1,4,4]"), &[2, 3, 4, 4], "MatMul Add Softmax");
    // Nor is what one is computed from.
    let regions = "e = Equal w[4,4] 0.5; k = Where e 0 -100; m = MatMul x x; s = Add m k; y = Softmax(axis=-1) s";
    assert_becomes(regions, &[2, 3, 4, 4], "MatMul Add Softmax");
}

#[test]
fn a_window_larger_than_the_image_is_global() {
    let pooled = |window: &str| format!("p = AveragePool({window}) x; y = Add x p");
    let larger = pooled("kernel_shape=9,7&strides=9,7&ceil_mode=1&count_include_pad=1");
    assert_becomes(&larger, &[2, 3, 4, 5], "GlobalAveragePool Add");
    // One that is as large may be a pool among others of the same kind.
    assert_becomes(&pooled("kernel_shape=4,5"), &[2, 3, 4, 5], "AveragePool Add");
    assert_becomes(&pooled("kernel_shape=5,5&pads=1,0,0,0"), &[2, 3, 4, 5], "AveragePool Add");
}

#[test]
fn the_mean_of_a_row_needs_no_image() {
    let of_rows = "p = GlobalAveragePool x; y = Add x p";
    assert_becomes_at(11, of_rows, &[2, 3, 5], "GlobalAveragePool Add");
    let of_image = "i = Unsqueeze(axes=2) x; m = GlobalAveragePool i; s = Squeeze(axes=2) m; p = Flatten s; \
                    z = Softmax p; u = Unsqueeze(axes=2) z; y = Add x u";
    let expected = "GlobalAveragePool Flatten Softmax Unsqueeze Add";
    assert_becomes_at(11, of_image, &[2, 3, 5], expected);
}

#[test]
fn norms_are_recognised() {
    let of_mean = |axes: &str, rest: &str| {
        format!(
            "m = ReduceMean(axes={axes}) x; d = Sub x m; q = Mul d d; \
                 v = ReduceMean(axes={axes}) q; e = Add v 0.00001; s = Sqrt e; {rest}"
        )
    };
    let tokens = [2, 3, 4];
    let last = of_mean("-1", "n = Div d s; g = Mul w[4] n; y = Add b[4] g");
    assert_becomes(&last, &tokens, "LayerNormalization");
    let inverse = of_mean("2", "r = Reciprocal s; n = Mul r d; g = Mul n w[1,1,4]; y = Add g b[4]");
    assert_becomes(&inverse, &tokens, "LayerNormalization");
    let unshifted = of_mean("-1", "n = Div d s; g = Mul n w[4]; y = Relu g");
    assert_becomes(&unshifted, &tokens, "LayerNormalization Relu");
    let two_axes = of_mean("-2,-1", "n = Div d s; g = Mul n w[3,4]; y = Add g b[3,4]");
    assert_becomes(&two_axes, &tokens, "LayerNormalization");
    let channels = of_mean("1", "n = Div d s; g = Mul w[4,1,1] n; y = Add g b[4,1,1]");
    assert_becomes(&channels, &[2, 4, 3, 3], "Transpose LayerNormalization Transpose");
    let power = "q = Pow x 2; v = ReduceMean(axes=-1) q; e = Add 0.000001 v; s = Sqrt e;";
    for rest in ["n = Div x s; y = Mul w[4] n", "i = Div 1 s; g = Mul i w[4]; y = Mul x g"] {
        assert_becomes(&format!("{power} {rest}"), &tokens, "RMSNormalization");
    }
}

#[test]
fn pads_become_those_of_windows() {
    let (even, uneven) = ("Pad(pads=0,0,1,1,0,0,1,1)", "Pad(pads=0,0,0,0,0,0,2,2)");
    for (formula, expected) in [
        (format!("p = {even} x; y = Conv p w[1,1,3,3]"), "Conv"),
        (format!("p = {uneven} x; y = Conv p w[1,1,3,3]"), "Conv"),
        (format!("p = {uneven} x; y = AveragePool(kernel_shape=3,3) p"), "AveragePool"),
        (format!("r = Relu x; p = {even} r; y = MaxPool(kernel_shape=3,3) p"), "Relu MaxPool"),
        (
            format!("c = Clip(min=0&max=6) x; p = {even} c; y = MaxPool(kernel_shape=3,3) p"),
            "Clip MaxPool",
        ),
        // A zero may be the largest of what is in the window.
        (format!("p = {even} x; y = MaxPool(kernel_shape=3,3) p"), "Pad MaxPool"),
        // Pads of channels, and of ones.
        ("p = Pad(pads=0,1,1,1,0,1,1,1) x; y = Conv p w[1,3,3,3]".to_owned(), "Pad Conv"),
        ("p = Pad(pads=0,0,1,1,0,0,1,1&value=1) x; y = Conv p w[1,1,3,3]".to_owned(), "Pad Conv"),
    ] {
        assert_becomes_at(10, &formula, &[2, 1, 4, 4], expected);
    }
}

#[test]
fn a_softmax_at_the_end_is_taken_off() {
    for (formula, scores) in [
        ("a = Relu x; y = Softmax(axis=1) a", Scores::Probabilities),
        ("a = Relu x; y = LogSoftmax(axis=-1) a", Scores::LogProbabilities),
        ("a = Relu x; s = Softmax(axis=1) a; y = Log s", Scores::LogProbabilities),
        ("y = Relu x", Scores::Logits),
    ] {
        let canonical = canonical(&model(formula, &[2, 4], 13));
        assert_eq!((operators(&canonical).join(" ").as_str(), canonical.scores), ("Relu", scores));
    }
    let over_rows = canonical(&model("a = Relu x; y = Softmax(axis=0) a", &[2, 4], 13));
    assert_eq!(over_rows.scores, Scores::Logits);
    let of_pixels = canonical(&model("a = Relu x; y = Softmax(axis=1) a", &[2, 4, 3, 3], 13));
    assert_eq!(of_pixels.scores, Scores::Logits);
}
