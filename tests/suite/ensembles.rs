//! One file of several networks says the mean of what they say.

use std::{collections::BTreeSet, path::Path};

use onnx_protobuf::{ModelProto, ValueInfoProto};
use protobuf::Message;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use weightsmith::{
    graph::{Architecture, Origin, ParameterId, Role},
    onnx::{
        Model, ensemble,
        splice::{self, Changes, Fill},
    },
    ops::{Registry, resolve},
};

use super::{beside::shared, whole_files::outputs};

const MEMBERS: u64 = 3;

/// A network's weights, a little different with every seed.
fn weights(model: &Model, architecture: &Architecture, seed: u64) -> Vec<Vec<f32>> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut weights = Vec::new();
    for (index, parameter) in architecture.parameters.iter().enumerate() {
        let kept = architecture.value_in(model, ParameterId(index)).unwrap();
        let count = parameter.len().unwrap();
        let bound = (3.0 / parameter.slots[0].fan_in as f32).sqrt();
        let values = match (kept, parameter.role()) {
            (Some(kept), _) => kept.data,
            (None, Some(Role::Weight)) => {
                (0..count).map(|_| random.random_range(-bound..bound)).collect()
            }
            (None, Some(Role::Gain | Role::RunningVariance)) => vec![1.0; count],
            _ => vec![0.0; count],
        };
        weights.push(values.iter().map(|value| value * random.random_range(0.7..1.3)).collect());
    }
    weights
}

/// The model filled with weights.
fn changes<'a>(
    model: &Model,
    architecture: &'a Architecture,
    weights: &'a [Vec<f32>],
) -> Changes<'a> {
    let mut changes = Changes { list_as_inputs: model.ir_version() < 4, ..Changes::default() };
    for (parameter, values) in architecture.parameters.iter().zip(weights) {
        if let Origin::Constant(node) | Origin::ConstantOfShape(node) = parameter.origin {
            changes.dropped_nodes.insert(node);
        }
        changes.fills.push(Fill {
            name: &parameter.name,
            data_type: parameter.dtype.to_onnx(),
            shape: parameter.shape.as_deref().unwrap(),
            values: values.into(),
        });
    }
    changes
}

fn models() -> Vec<Model> {
    let named = Path::new(env!("CARGO_MANIFEST_DIR")).join("architectures/named");
    let named = ["lenet-5", "resnet-20"].map(|name| named.join(format!("{name}.onnx")));
    // A network of nodes that are constants, one of opset 3, and two trained ones.
    let names = ["mnist_cntk", "light_squeezenet", "resnet_2b", "cifar_base_kw"];
    let shared = shared("onnx")
        .into_iter()
        .flat_map(|folder| names.map(|name| folder.join(format!("{name}.onnx"))));
    named.into_iter().chain(shared).map(|path| Model::open(&path).unwrap()).collect()
}

#[test]
fn an_ensemble_says_the_mean() {
    for model in models() {
        let mut architecture = Architecture::from_model(&model).unwrap();
        resolve(&mut architecture, &Registry::standard()).unwrap();
        let all: Vec<_> = (0..MEMBERS).map(|seed| weights(&model, &architecture, seed)).collect();
        let members: Vec<Changes> =
            all.iter().map(|weights| changes(&model, &architecture, weights)).collect();

        let mut mean: Vec<f32> = Vec::new();
        for member in &members {
            let mut bytes = Vec::new();
            splice::write(&model, member, &mut bytes).unwrap();
            let (says, _) = outputs(&Model::from_bytes("member", bytes.into()).unwrap());
            mean.resize(says.len(), 0.0);
            mean.iter_mut().zip(says).for_each(|(mean, says)| *mean += says / MEMBERS as f32);
        }

        let mut bytes = Vec::new();
        ensemble::write(&model, &members, &mut bytes).unwrap();
        let whole = Model::from_bytes("ensemble", bytes.into()).unwrap();
        let scale = mean.iter().fold(1e-6f32, |scale, value| scale.max(value.abs()));
        let (ours, theirs) = outputs(&whole);
        for (who, says, bound) in [("weightsmith", ours, 1e-5), ("tract", theirs, 1e-4)] {
            assert_eq!(says.len(), mean.len());
            let gap = says.iter().zip(&mean).fold(0f32, |gap, (a, b)| gap.max((a - b).abs()));
            println!("{}: {who} is {:.1e} off", model.name(), gap / scale);
            assert!(gap <= bound * scale, "{}: {who}: {gap} of {scale}", model.name());
        }
    }
}

/// What this crate's messages do not declare is seen by another reader.
#[test]
fn what_is_no_name_survives_in_every_copy() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("architectures/named/lenet-5.onnx");
    let mut proto = ModelProto::parse_from_bytes(&std::fs::read(path).unwrap()).unwrap();
    proto.doc_string = "a model".to_owned();
    let graph = proto.graph.as_mut().unwrap();
    graph.doc_string = "a graph".to_owned();
    graph.node[0].doc_string = "a node".to_owned();
    let described = graph.node[0].output[0].clone();
    let name = described.clone();
    graph.value_info.push(ValueInfoProto { name, ..Default::default() });
    let model = Model::from_bytes("m", proto.write_to_bytes().unwrap().into()).unwrap();
    let mut architecture = Architecture::from_model(&model).unwrap();
    resolve(&mut architecture, &Registry::standard()).unwrap();
    let weights = weights(&model, &architecture, 0);
    let member = || changes(&model, &architecture, &weights);
    let mut bytes = Vec::new();
    ensemble::write(&model, &[member(), member()], &mut bytes).unwrap();

    let whole = ModelProto::parse_from_bytes(&bytes).unwrap();
    assert_eq!(whole.doc_string, proto.doc_string);
    let (one, many) = (proto.graph.unwrap(), whole.graph.unwrap());
    assert_eq!((many.doc_string, &many.name), (one.doc_string, &one.name));
    assert_eq!(many.output, one.output);
    let documented = many.node.iter().filter(|node| node.doc_string == "a node").count();
    assert_eq!(documented, 2);
    let described: BTreeSet<String> =
        [0, 1].map(|member| format!("member{member}/{described}")).into();
    let found: BTreeSet<String> = many.value_info.iter().map(|info| info.name.clone()).collect();
    assert!(found.is_superset(&described), "{found:?}");
    let stays = many.input.iter().filter(|input| !input.name.starts_with("member")).count();
    assert_eq!(stays, 1);
}
