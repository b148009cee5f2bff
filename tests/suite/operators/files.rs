//! Whole real topologies against tract, with weights that tell channels apart.

use std::fs;

use onnx_protobuf::ModelProto;
use protobuf::Message;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use weightsmith::{
    graph::{Architecture, Role, Tensor},
    onnx::Model,
};

use super::{
    super::beside,
    compare::{Value, difference, ours, read, stored, tract},
    model::floats,
};

/// The bytes of a file beside the repository.
fn shared(name: &str) -> Option<Vec<u8>> {
    beside::shared(&format!("onnx/{name}")).map(|path| fs::read(path).unwrap())
}

fn uniform(random: &mut ChaCha8Rng, low: f32, high: f32, count: usize) -> Vec<f32> {
    (0..count).map(|_| random.random_range(low..high)).collect()
}

/// Runs an architecture here and a model in tract on the same random input.
fn agree(name: &str, architecture: &Architecture, weights: &[Tensor], bytes: &[u8]) {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let inputs = architecture.inputs.iter().map(|input| input.shape.clone().unwrap());
    let data: Vec<Value> = inputs
        .map(|shape| {
            let values = uniform(&mut random, 0.0, 1.0, shape.iter().product());
            (shape, values)
        })
        .collect();
    let mut given =
        ours(architecture, weights, &data).unwrap_or_else(|error| panic!("{name}: {error}"));
    // The graph ends with logits, and has channels first.
    for (_, values) in given.iter_mut().take(1) {
        *values = architecture.scores.of_logits(values);
    }
    let data = as_in_file(bytes, data);
    let expected = tract(bytes, &data).unwrap_or_else(|error| panic!("{name}: tract: {error:#}"));
    if let Some(difference) = difference(&given, &expected, 1e-4) {
        panic!("{name}: {difference}");
    }
}

/// Images with their channels last, where the file has them so.
fn as_in_file(bytes: &[u8], mut data: Vec<Value>) -> Vec<Value> {
    let declared = Model::from_bytes("file", bytes.to_vec().into())
        .ok()
        .and_then(|model| Architecture::from_model(&model).ok())
        .map(|architecture| architecture.inputs)
        .unwrap_or_default();
    for ((shape, values), declared) in data.iter_mut().zip(declared) {
        let declared = declared.shape.unwrap();
        if let &mut [_, channels, height, width] = &mut shape[..]
            && declared[1..] == [height, width, channels]
            && declared != *shape
        {
            let at = |place: usize| (place % channels) * height * width + place / channels;
            *values = (0..values.len()).map(|place| values[at(place)]).collect();
            *shape = declared;
        }
    }
    data
}

/// A file with the weights it holds.
fn as_it_is(name: &str) {
    let Some(bytes) = shared(name) else { return };
    let (model, architecture) =
        read(name, &bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
    let weights = stored(&model, &architecture).unwrap_or_else(|error| panic!("{name}: {error}"));
    agree(name, &architecture, &weights, &bytes);
}

/// A stripped file, whose weights are all alike, with random ones in their place.
fn filled(name: &str) {
    let Some(bytes) = shared(name) else { return };
    let (_, architecture) = read(name, &bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let weights: Vec<Tensor> = architecture
        .parameters
        .iter()
        .map(|parameter| {
            let slot = &parameter.slots[0];
            let [low, high] = match slot.role {
                Role::Gain | Role::RunningVariance => [0.5, 1.5],
                Role::Weight => [-1.0, 1.0].map(|sign| sign * (3.0 / slot.fan_in as f32).sqrt()),
                _ => [-0.2, 0.2],
            };
            let data = uniform(&mut random, low, high, parameter.len().unwrap());
            Tensor { shape: parameter.shape.clone().unwrap(), data }
        })
        .collect();
    let mut proto = ModelProto::parse_from_bytes(&bytes).unwrap();
    let graph = proto.graph.mut_or_insert_default();
    let names: Vec<&str> =
        architecture.parameters.iter().map(|parameter| parameter.name.as_str()).collect();
    graph.node.retain(|node| !names.contains(&node.output[0].as_str()));
    for (name, tensor) in names.iter().zip(&weights) {
        graph.initializer.push(floats(name, &tensor.shape, &tensor.data));
    }
    agree(name, &architecture, &weights, &proto.write_to_bytes().unwrap());
}

macro_rules! files {
    ($($test:ident: $run:expr;)*) => {
        $(#[test]
        fn $test() {
            $run;
        })*
    };
}

files! {
    densenet121: filled("light_densenet121.onnx");
    resnet50: filled("light_resnet50.onnx");
    shufflenet: filled("light_shufflenet.onnx");
    squeezenet: filled("light_squeezenet.onnx");
    cifar10_medium: as_it_is("cifar10_medium.onnx");
    super_resolution: as_it_is("super_resolution.onnx");
}
