//! The forms in which users have a network without trained weights, and what must survive in the
//! file that is written.

use std::{fs, path::Path, process::Command};

use onnx_protobuf::{ModelProto, StringStringEntryProto, TensorProto, ValueInfoProto};
use protobuf::Message;
use safetensors::SafeTensors;
use weightsmith::{
    graph::{Architecture, DimBindings},
    onnx::Model,
    ops::{Registry, resolve},
};

use super::operators::model::{floats, ints, node, value};

fn plain_cnn() -> ModelProto {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("architectures/named/plain-cnn.onnx");
    ModelProto::parse_from_bytes(&fs::read(path).unwrap()).unwrap()
}

/// The weights that the file lists as graph inputs, taken out of it.
fn take_weights(model: &mut ModelProto) -> Vec<(String, Vec<usize>)> {
    let inputs: Vec<ValueInfoProto> =
        model.graph.mut_or_insert_default().input.drain(1..).collect();
    let extents = |input: &ValueInfoProto| {
        let dims = &input.type_.tensor_type().shape.dim;
        dims.iter().map(|dim| dim.dim_value() as usize).collect()
    };
    inputs.iter().map(|input| (input.name.clone(), extents(input))).collect()
}

/// What the nodes compute, with shapes.
fn between(model: &ModelProto) -> Vec<ValueInfoProto> {
    let model = Model::from_bytes("net", model.write_to_bytes().unwrap().into()).unwrap();
    let mut architecture = Architecture::from_model(&model).unwrap();
    resolve(&mut architecture, &Registry::standard()).unwrap();
    let facts = architecture.dag.node_weights().flat_map(|node| &node.outputs);
    facts.map(|fact| value(&fact.name, fact.shape.as_deref())).collect()
}

fn initializer((name, shape): &(String, Vec<usize>)) -> TensorProto {
    floats(name, shape, &vec![0.125; shape.iter().product()])
}

/// Predicts into `folder/out` and gives the two files back.
fn predict(form: &str, folder: &Path, model: &ModelProto) -> (Vec<u8>, Vec<u8>) {
    let file = folder.join("net.onnx");
    fs::write(&file, model.write_to_bytes().unwrap()).unwrap();
    let out = folder.join("out");
    let output = Command::new(env!("CARGO_BIN_EXE_weightsmith"))
        .args(["predict", "--device", "flex", "--force", "--out"])
        .args([&out, &file])
        .output()
        .unwrap();
    assert!(output.status.success(), "{form}: {}", String::from_utf8_lossy(&output.stderr));
    (fs::read(out.join("net.onnx")).unwrap(), fs::read(out.join("net.safetensors")).unwrap())
}

#[test]
fn every_form_of_a_network_gets_the_same_weights() {
    let folder = tempfile::tempdir().unwrap();
    let listed = plain_cnn();
    let mut undefined = listed.clone();
    let weights = take_weights(&mut undefined);
    let mut declared = undefined.clone();
    // Exporters declare what lies between the nodes; shapes of weights follow from that.
    undefined.graph.mut_or_insert_default().value_info = between(&listed);
    declared.graph.mut_or_insert_default().value_info =
        weights.iter().map(|(name, shape)| value(name, Some(shape))).collect();
    let mut stored = listed.clone();
    take_weights(&mut stored);
    stored.graph.mut_or_insert_default().initializer = weights.iter().map(initializer).collect();
    let mut stored_and_listed = listed.clone();
    stored_and_listed.graph.mut_or_insert_default().initializer =
        weights.iter().map(initializer).collect();
    let mut stripped = listed.clone();
    take_weights(&mut stripped);
    for (index, (name, shape)) in weights.iter().enumerate() {
        let extents: Vec<i64> = shape.iter().map(|&extent| extent as i64).collect();
        let graph = stripped.graph.mut_or_insert_default();
        graph.initializer.push(ints(&format!("shape{index}"), &[extents.len()], &extents));
        graph.node.insert(index, node("ConstantOfShape", &[&format!("shape{index}")], name));
    }
    let external = external(&stored, folder.path());
    let forms = [
        ("listed", listed),
        ("undefined", undefined),
        ("undefined but declared", declared),
        ("stored", stored),
        ("stored and listed", stored_and_listed),
        ("stripped", stripped),
        ("external", external),
    ];
    let dicts = forms.map(|(form, model)| (form, predict(form, folder.path(), &model).1));
    let (_, first) = &dicts[0];
    assert_eq!(SafeTensors::deserialize(first).unwrap().len(), weights.len());
    for (form, dict) in &dicts {
        assert!(dict == first, "{form}: other weights than the first form");
    }
}

/// The same model with the values of its initializers in a file beside it.
fn external(model: &ModelProto, folder: &Path) -> ModelProto {
    let mut model = model.clone();
    let mut data = Vec::new();
    for tensor in &mut model.graph.mut_or_insert_default().initializer {
        let bytes = std::mem::take(&mut tensor.raw_data);
        let entries = [
            ("location", "net.data".to_owned()),
            ("offset", data.len().to_string()),
            ("length", bytes.len().to_string()),
        ];
        tensor.data_location = onnx_protobuf::tensor_proto::DataLocation::EXTERNAL.into();
        tensor.external_data = entries
            .map(|(key, value)| StringStringEntryProto {
                key: key.to_owned(),
                value,
                ..Default::default()
            })
            .to_vec();
        data.extend(bytes);
    }
    fs::write(folder.join("net.data"), data).unwrap();
    model
}

#[test]
fn what_is_not_a_weight_survives() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = plain_cnn();
    let entry = StringStringEntryProto {
        key: "author".to_owned(),
        value: "somebody".to_owned(),
        ..Default::default()
    };
    model.metadata_props.push(entry.clone());
    model.doc_string = "a model".to_owned();
    model.special_fields.mut_unknown_fields().add_length_delimited(900, b"model".to_vec());
    let graph = model.graph.mut_or_insert_default();
    graph.doc_string = "a graph".to_owned();
    graph.special_fields.mut_unknown_fields().add_varint(901, 77);
    graph.node[0].special_fields.mut_unknown_fields().add_fixed32(902, 78);
    let weight = graph.input.pop().unwrap();
    let mut tensor = initializer(&(weight.name.clone(), vec![10]));
    tensor.doc_string = "a tensor".to_owned();
    tensor.special_fields.mut_unknown_fields().add_varint(903, 79);
    graph.initializer.push(tensor);
    let (filled, _) = predict("with fields", folder.path(), &model);
    let mut filled = ModelProto::parse_from_bytes(&filled).unwrap();
    assert!(filled.metadata_props.contains(&entry));
    let ours = |entry: &StringStringEntryProto| entry.key.starts_with("weightsmith");
    assert!(filled.metadata_props.iter().any(ours));
    // Without what was added and with the old values in their places, the file is the old one.
    filled.metadata_props.retain(|entry| !ours(entry));
    let graph = filled.graph.mut_or_insert_default();
    assert_eq!(graph.initializer.len(), 8);
    let rewritten = graph.initializer.iter_mut().find(|tensor| tensor.name == weight.name).unwrap();
    assert_ne!(rewritten.raw_data, model.graph.initializer[0].raw_data);
    rewritten.raw_data.clone_from(&model.graph.initializer[0].raw_data);
    graph.initializer.retain(|tensor| tensor.name == weight.name);
    assert_eq!(filled, model);
}

#[test]
fn a_listed_table_of_one_size_is_a_weight() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("architectures/named/vit-tiny.onnx");
    for dims in [DimBindings::default(), DimBindings::new([("batch".to_owned(), 2)])] {
        let model = Model::open(&path).unwrap();
        let architecture = Architecture::from_model_with(&model, dims).unwrap();
        assert_eq!(architecture.inputs.len(), 1);
        let names = architecture.parameters.iter().map(|parameter| parameter.name.as_str());
        assert!(names.clone().any(|name| name == "pos_embed"));
    }
}

#[test]
fn dimensions_are_bound_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("net.onnx");
    fs::write(&file, plain_cnn().write_to_bytes().unwrap()).unwrap();
    let inspect = |dim: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_weightsmith"))
            .arg("inspect")
            .arg(&file)
            .args(["--dim", dim])
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, shown, _) = inspect("batch=5");
    assert_eq!(code, Some(0));
    assert!(shown.contains("[5, 3, 32, 32]") && shown.contains("[5, 10]"), "{shown}");
    for (dim, expected) in [("height=5", "'batch'"), ("batch", "NAME=SIZE"), ("batch=0", "batch=0")]
    {
        let (code, _, problem) = inspect(dim);
        assert_eq!(code, Some(2), "{dim}");
        assert!(problem.contains(expected), "{dim}: {problem}");
    }
}
