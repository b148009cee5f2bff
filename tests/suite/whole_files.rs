//! Real files, executed by the reference executor and by tract.

use burn::tensor::Device;
use onnx_protobuf::{ModelProto, TensorProto};
use protobuf::Message;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tract_onnx::prelude::{
    Datum, Framework, InferenceFact, InferenceModelExt, TValue, Tensor as TractTensor, tvec,
};
use weightsmith::{
    execute::execute,
    graph::{Architecture, ParameterId, Tensor},
    onnx::Model,
    ops::{Array, Registry, resolve},
};

use super::beside::{all_onnx_files, shared};

/// Our outputs and tract's for one random input, the same for all models of one shape.
pub(super) fn outputs(model: &Model) -> (Vec<f32>, Vec<f32>) {
    let mut architecture = Architecture::from_model(model).unwrap();
    let resolution = resolve(&mut architecture, &Registry::standard()).unwrap();
    assert!(resolution.unsupported.is_empty(), "{:?}", resolution.unsupported);
    let shape = architecture.inputs[0].shape.clone().unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let data: Vec<f32> =
        (0..shape.iter().product()).map(|_| random.random_range(-1.0..1.0)).collect();

    let device = Device::flex();
    let weights: Vec<Option<Array>> = (0..architecture.parameters.len())
        .map(|index| {
            let value = architecture.value_in(model, ParameterId(index)).unwrap()?;
            Some(Array::upload(&value, &device))
        })
        .collect();
    let image = Array::upload(&Tensor { shape: shape.clone(), data: data.clone() }, &device);
    let ours = execute(&architecture, &Registry::standard(), &weights, &[image], &device).unwrap();
    let ours = architecture.scores.of_logits(&ours[0].download());

    let input = TractTensor::from_shape(&shape, &data).unwrap();
    let bytes = for_tract(model.bytes());
    let runnable = tract_onnx::onnx()
        .model_for_read(&mut bytes.as_slice())
        .and_then(|model| {
            model.with_input_fact(0, InferenceFact::dt_shape(f32::datum_type(), &shape))
        })
        .and_then(|model| model.into_optimized())
        .and_then(|model| model.into_runnable())
        .unwrap();
    let theirs = runnable.run(tvec!(TValue::from(input))).unwrap();
    (ours, theirs[0].as_slice::<f32>().unwrap().to_vec())
}

/// tract does not know the forms of opset 1 to 6: targets of Reshape become inputs, vectors that an
/// Add aligns by `axis` get their trailing ones.
fn for_tract(bytes: &[u8]) -> Vec<u8> {
    let mut model = ModelProto::parse_from_bytes(bytes).unwrap();
    if model.opset_import[0].version >= 7 {
        return bytes.to_vec();
    }
    model.opset_import[0].version = 8;
    let graph = model.graph.as_mut().unwrap();
    graph.value_info.clear();
    let mut vectors = Vec::new();
    for node in &mut graph.node {
        let attributes = std::mem::take(&mut node.attribute);
        for attribute in &attributes {
            match (node.op_type.as_str(), attribute.name.as_str()) {
                ("Reshape", "shape") => {
                    let name = format!("{}_target", node.name);
                    graph.initializer.push(TensorProto {
                        name: name.clone(),
                        dims: vec![attribute.ints.len() as i64],
                        data_type: 7,
                        int64_data: attribute.ints.clone(),
                        ..Default::default()
                    });
                    node.input.push(name);
                }
                ("Add", "axis") => vectors.push(node.input[1].clone()),
                ("Add", "broadcast") => {}
                _ => node.attribute.push(attribute.clone()),
            }
        }
    }
    for node in graph.node.iter_mut().filter(|node| vectors.contains(&node.output[0])) {
        node.attribute[0].t.as_mut().unwrap().dims.extend([1, 1]);
    }
    for tensor in graph.initializer.iter_mut().filter(|tensor| vectors.contains(&tensor.name)) {
        tensor.dims.extend([1, 1]);
    }
    model.write_to_bytes().unwrap()
}

#[test]
fn real_files_execute_as_in_tract() {
    let Some(folder) = shared("onnx") else { return };
    let names = [
        "resnet_2b",
        "cifar_base_kw",
        "rten_mnist",
        "mnist_cntk",
        "mnist-net_256x2",
        "light_squeezenet",
        "light_shufflenet",
        "light_densenet121",
        "light_resnet50",
        "light_vgg19",
    ];
    let mut failures = Vec::new();
    for name in names {
        let (ours, theirs) = outputs(&Model::open(&folder.join(format!("{name}.onnx"))).unwrap());
        assert_eq!(ours.len(), theirs.len(), "{name}");
        let scale = theirs.iter().fold(1e-6f32, |scale, value| scale.max(value.abs()));
        let gap = ours.iter().zip(&theirs).fold(0f32, |gap, (a, b)| gap.max((a - b).abs()));
        println!("{name}: relative gap {:.1e}", gap / scale);
        if gap.is_nan() || gap > 1e-4 * scale {
            failures.push(format!("{name}: relative gap {:e}", gap / scale));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn every_file_is_read_and_an_unchanged_write_is_the_same_bytes() {
    let mut read = 0;
    for path in all_onnx_files() {
        let model = Model::open(&path).unwrap();
        let mut architecture = Architecture::from_model(&model).unwrap();
        resolve(&mut architecture, &Registry::standard()).unwrap();
        let mut bytes = Vec::new();
        weightsmith::onnx::splice::write(&model, &Default::default(), &mut bytes).unwrap();
        assert!(bytes == *model.bytes(), "{} changed", path.display());
        read += 1;
    }
    assert!(read > 10);
}
