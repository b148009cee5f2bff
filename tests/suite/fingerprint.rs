//! Fingerprints of graphs: blind to names and order, and to nothing else.

use std::collections::{BTreeMap, HashSet};

use onnx_protobuf::{ModelProto, tensor_shape_proto::dimension::Value};
use proptest::prelude::*;
use protobuf::Message;
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use weightsmith::{
    graph::Architecture,
    onnx::Model,
    ops,
    spaces::{NAMED, Named, SampledGraph, Space},
};

pub fn parse(onnx: &[u8]) -> ModelProto {
    ModelProto::parse_from_bytes(onnx).unwrap()
}

fn read(model: &ModelProto) -> Architecture {
    let bytes = model.write_to_bytes().unwrap();
    Architecture::from_model(&Model::from_bytes("it", bytes.into()).unwrap()).unwrap()
}

/// Of the graph as it stands in the file: a change may leave one that cannot be resolved.
fn fingerprint(model: &ModelProto) -> u64 {
    read(model).fingerprint()
}

/// The fingerprint by which training and benchmarks know a sample.
pub fn of_sample(graph: &SampledGraph) -> u64 {
    resolved(&parse(&graph.onnx))
}

fn resolved(model: &ModelProto) -> u64 {
    let mut architecture = read(model);
    ops::resolve(&mut architecture, &ops::Registry::standard()).unwrap();
    architecture.fingerprint()
}

/// Another file of the same graph: names are others, nodes and parameters in another order.
pub fn disguised(model: &ModelProto, seed: u64) -> ModelProto {
    let mut model = model.clone();
    let random = &mut ChaCha8Rng::seed_from_u64(seed);
    let graph = &mut *model.graph.0.as_mut().unwrap();
    graph.name = "another".into();
    let mut names = BTreeMap::new();
    let mut rename = |name: &mut String| {
        if !name.is_empty() {
            let next = names.len();
            *name = format!("value {}", names.entry(name.clone()).or_insert(next));
        }
    };
    for value in graph.input.iter_mut().chain(&mut graph.output) {
        rename(&mut value.name);
    }
    for node in &mut graph.node {
        node.name.clear();
        node.input.iter_mut().chain(&mut node.output).for_each(&mut rename);
        node.attribute.shuffle(random);
    }
    graph.node.shuffle(random);
    // The images come first, or nobody could tell them from parameters.
    graph.input[1..].shuffle(random);
    model
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn names_and_order_do_not_matter(seed in 0..1_000_000u64, disguise: u64) {
        let graph = Space::load("corpus").unwrap().sample(seed).unwrap();
        let model = parse(&graph.onnx);
        prop_assert_eq!(resolved(&model), resolved(&disguised(&model, disguise)));
    }

    #[test]
    fn every_number_matters(seed in 0..1_000_000u64, place: prop::sample::Index) {
        let graph = Space::load("corpus").unwrap().sample(seed).unwrap();
        let model = parse(&graph.onnx);
        let mut changed = model.clone();
        let graph = &mut *changed.graph.0.as_mut().unwrap();
        let mut numbers: Vec<&mut i64> = Vec::new();
        for node in &mut graph.node {
            for attribute in &mut node.attribute {
                numbers.extend(&mut attribute.ints);
                if attribute.type_.value() == 2 {
                    numbers.push(&mut attribute.i);
                }
            }
        }
        for input in &mut graph.input {
            let tensor = input.type_.0.as_mut().unwrap().mut_tensor_type();
            for dimension in &mut tensor.shape.0.as_mut().unwrap().dim {
                if let Some(Value::DimValue(extent)) = &mut dimension.value {
                    numbers.push(extent);
                }
            }
        }
        let place = place.index(numbers.len());
        *numbers[place] += 1;
        prop_assert_ne!(fingerprint(&model), fingerprint(&changed));
    }
}

#[test]
fn every_edge_matters() {
    for name in ["resnet-20", "densenet-40", "squeezenet-1.1", "vit-tiny"] {
        let model = parse(&Named::find(name).unwrap().onnx());
        let whole = fingerprint(&model);
        for node in 0..model.graph.node.len() {
            let mut changed = model.clone();
            let node = &mut changed.graph.0.as_mut().unwrap().node[node];
            let other = node.input.iter().position(|input| *input != node.input[0]);
            if let Some(other) = other {
                node.input.swap(0, other);
                let at = node.name.clone();
                assert_ne!(fingerprint(&changed), whole, "{name}: {at}");
            }
        }
    }
}

#[test]
fn operators_and_ties_matter() {
    let model = parse(&Named::find("resnet-20").unwrap().onnx());
    let mut changed = model.clone();
    let node = changed.graph.0.as_mut().unwrap().node.iter_mut().find(|it| it.op_type == "Relu");
    node.unwrap().op_type = "Tanh".into();
    assert_ne!(fingerprint(&changed), fingerprint(&model));

    let mut tied = model.clone();
    let nodes = &mut tied.graph.0.as_mut().unwrap().node;
    let first = nodes.iter().position(|it| it.name.contains("layer1.0/conv1")).unwrap();
    let second = nodes.iter().position(|it| it.name.contains("layer1.0/conv2")).unwrap();
    nodes[second].input[1] = nodes[first].input[1].clone();
    assert_ne!(fingerprint(&tied), fingerprint(&model));
}

#[test]
fn named_networks_differ() {
    let distinct: HashSet<u64> = NAMED.iter().map(|it| resolved(&parse(&it.onnx()))).collect();
    assert_eq!(distinct.len(), NAMED.len());
}
