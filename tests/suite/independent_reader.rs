//! Our reader against `onnx-protobuf`, an independent reader of the wire format.

use onnx_protobuf::{ModelProto, TensorProto};
use protobuf::Message;
use weightsmith::{
    graph::{Architecture, Origin, ParameterId},
    onnx::Model,
};

use super::{
    beside::{all_onnx_files, onnx_files, repository},
    cli::weightsmith,
};

/// Float values as the message stores them: raw or typed.
fn floats(tensor: &TensorProto) -> Vec<f32> {
    match tensor.raw_data.as_slice() {
        [] => tensor.float_data.clone(),
        raw => {
            let values = raw.as_chunks::<4>().0.iter();
            values.map(|&bytes| f32::from_le_bytes(bytes)).collect()
        }
    }
}

#[test]
fn nodes_and_weights_are_those_of_an_independent_reader() {
    let folder = tempfile::tempdir().unwrap();
    let filled = ["plain-cnn", "resnet-20"].map(|name| {
        let model = repository(&format!("architectures/named/{name}.onnx"));
        let out = folder.path().join(name);
        let arguments = ["predict", model.to_str().unwrap(), "--out", out.to_str().unwrap()];
        assert!(weightsmith(&arguments).status.success());
        out
    });
    let (mut nodes, mut tensors) = (0, 0);
    for path in all_onnx_files().into_iter().chain(onnx_files(&filled)) {
        let theirs = ModelProto::parse_from_bytes(&std::fs::read(&path).unwrap()).unwrap();
        let has_sequences = theirs.graph.node.iter().any(|node| node.op_type.contains("Sequence"));
        if !theirs.functions.is_empty() || has_sequences {
            // Our nodes stand in place of calls and of sequences.
            continue;
        }
        let model = Model::open(&path).unwrap();
        let ours = Architecture::from_model(&model).unwrap();
        assert_eq!(model.ir_version(), theirs.ir_version);
        for import in &theirs.opset_import {
            let domain = if import.domain == "ai.onnx" { "" } else { &import.domain };
            let import = (domain.to_owned(), import.version);
            assert!(model.opsets().contains(&import), "{}: {import:?}", path.display());
        }
        let graph = &theirs.graph;
        for node in ours.dag.node_weights() {
            let other = &graph.node[node.position];
            assert_eq!(node.name, other.name);
            assert_eq!(node.op_type, other.op_type);
            assert_eq!(node.inputs.len(), other.input.len());
            let outputs: Vec<&String> = node.outputs.iter().map(|output| &output.name).collect();
            assert_eq!(outputs, other.output.iter().collect::<Vec<_>>());
            nodes += 1;
        }
        for (index, parameter) in ours.parameters.iter().enumerate() {
            let Origin::Initializer(position) = parameter.origin else { continue };
            let other = &graph.initializer[position];
            assert_eq!(parameter.name, other.name);
            let dims: Vec<i64> =
                parameter.shape.as_ref().unwrap().iter().map(|&extent| extent as i64).collect();
            assert_eq!(dims, other.dims);
            if other.data_type == 1 {
                let value = ours.value_in(&model, ParameterId(index)).unwrap().unwrap();
                assert_eq!(value.data, floats(other), "{}", parameter.name);
                tensors += 1;
            }
        }
    }
    assert!(nodes > 500 && tensors > 50, "{nodes} nodes, {tensors} tensors");
}
