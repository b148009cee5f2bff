//! `predict` says of every network whether it is alive, and exits with 3 if it is not.

use std::{fs, path::Path};

use burn::tensor::Device;
use onnx_protobuf::{ModelProto, NodeProto, TensorProto};
use protobuf::Message;
use serde_json::Value;
use weightsmith::{
    fill::{FillOptions, Network, fill},
    onnx::Model,
    predictor::{BUNDLED, bundled},
};

use super::{
    beside::{repository, shared},
    cli::{json, weightsmith},
    operators::model::{floats, ints, model, node, value, with},
};

/// What came of filling a network.
struct Outcome {
    code: Option<i32>,
    check: Value,
    notices: String,
    stderr: String,
}

impl Outcome {
    fn kinds(&self) -> Vec<&str> {
        let findings = self.check["findings"].as_array().unwrap();
        findings.iter().map(|finding| finding["kind"].as_str().unwrap()).collect()
    }

    /// Asserts that the network is said to be of no use for one reason, with a next step.
    fn fails_by(&self, kind: &str) {
        assert_eq!((self.code, self.kinds()), (Some(3), vec![kind]), "{}", self.stderr);
        let finding = &self.check["findings"][0];
        for part in ["reason", "next_step"] {
            let sentence = finding[part].as_str().unwrap();
            assert!(self.stderr.contains(sentence), "{sentence} is not in {}", self.stderr);
        }
    }

    fn is_alive(&self) {
        assert_eq!((self.code, self.kinds()), (Some(0), vec![]), "{}", self.stderr);
        assert!(self.check["images"].as_u64().unwrap() >= 4, "{}", self.check);
    }
}

fn predict(file: &Path) -> Outcome {
    let out = tempfile::tempdir().unwrap();
    let folder = out.path().display().to_string();
    let file = file.display().to_string();
    let output = weightsmith(&["predict", &file, "--out", &folder, "--device", "flex", "--json"]);
    let report = fs::read(out.path().join("report.json")).unwrap();
    let report: Value = serde_json::from_slice(&report).unwrap();
    let check = report["sanity_check"].clone();
    assert_eq!(json(&output)["sanity_checks"], Value::Array(vec![check.clone()]));
    Outcome {
        code: output.status.code(),
        check,
        notices: report["notices"].to_string(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// What comes of a graph from `x` of that shape to `y`.
fn outcome(nodes: Vec<NodeProto>, weights: Vec<TensorProto>, input: &[usize]) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("net.onnx");
    fs::write(&file, bytes(nodes, weights, input)).unwrap();
    predict(&file)
}

fn bytes(nodes: Vec<NodeProto>, weights: Vec<TensorProto>, input: &[usize]) -> Vec<u8> {
    let (x, y) = (value("x", Some(input)), value("y", None));
    model(nodes, weights, vec![x], vec![y], vec![(String::new(), 18)])
}

fn zeros(name: &str, shape: &[usize]) -> TensorProto {
    floats(name, shape, &vec![0.0; shape.iter().product()])
}

/// A convolution with its activation and a pool; `from` channels become 16.
fn trunk(from: usize) -> (Vec<NodeProto>, Vec<TensorProto>) {
    let nodes = vec![
        node("Conv", &["x", "conv.weight", "conv.bias"], "made"),
        node("Relu", &["made"], "active"),
        node("GlobalAveragePool", &["active"], "pooled"),
    ];
    (nodes, vec![zeros("conv.weight", &[16, from, 3, 3]), zeros("conv.bias", &[16])])
}

/// A head that reads so many features of a value.
fn head(of: &str, features: usize) -> (Vec<NodeProto>, Vec<TensorProto>) {
    let gemm = node("Gemm", &["features", "head.weight", "head.bias"], "y");
    let nodes = vec![node("Flatten", &[of], "features"), with(gemm, "transB", 1)];
    (nodes, vec![zeros("head.weight", &[10, features]), zeros("head.bias", &[10])])
}

fn joined<T>(parts: [Vec<T>; 2]) -> Vec<T> {
    parts.into_iter().flatten().collect()
}

#[test]
fn a_network_is_alive_whatever_channels_it_reads() {
    for channels in [1, 3, 5] {
        let ((nodes, weights), (head, read)) = (trunk(channels), head("pooled", 16));
        let nodes = joined([nodes, head]);
        let outcome = outcome(nodes, joined([weights, read]), &[1, channels, 28, 20]);
        outcome.is_alive();
        let said = outcome.notices.contains("the network reads 5 channels");
        assert_eq!(said, channels == 5, "{}", outcome.notices);
    }
}

#[test]
fn a_network_that_hides_the_image_is_dead() {
    let ((mut nodes, weights), (head, read)) = (trunk(3), head("nothing", 16));
    nodes.push(node("Sub", &["pooled", "pooled"], "nothing"));
    outcome(joined([nodes, head]), joined([weights, read]), &[1, 3, 32, 32])
        .fails_by("constant_outputs");
}

#[test]
fn statistics_that_no_image_can_measure_are_said() {
    let statistics = ["gain", "shift", "mean", "variance"];
    let nodes = vec![
        node("Conv", &["x", "conv.weight"], "made"),
        node("BatchNormalization", &["made", "gain", "shift", "mean", "variance"], "normal"),
        with(
            with(node("ReduceMean", &["normal", "axes"], "y"), "keepdims", 0),
            "noop_with_empty_axes",
            0,
        ),
    ];
    let mut weights = vec![zeros("conv.weight", &[8, 10, 9]), ints("axes", &[1], &[2])];
    weights.extend(statistics.map(|name| zeros(name, &[8])));
    let outcome = outcome(nodes, weights, &[1, 10, 49]);
    outcome.fails_by("default_statistics");
    assert!(outcome.stderr.contains("[1, 10, 49]"), "{}", outcome.stderr);
}

#[test]
fn weights_made_of_what_the_file_held_are_said() {
    let (mut nodes, mut weights) = trunk(3);
    nodes.extend([
        node("Tanh", &["inner.free"], "inner.weight"),
        node("Conv", &["active", "inner.weight"], "inner"),
        node("GlobalAveragePool", &["inner"], "last"),
    ]);
    weights.push(zeros("inner.free", &[64, 16, 5, 5]));
    let (head, read) = head("last", 64);
    let outcome = outcome(joined([nodes, head]), joined([weights, read]), &[1, 3, 32, 32]);
    assert_eq!(outcome.code, Some(3), "{}", outcome.stderr);
    assert!(outcome.kinds().contains(&"missing_values"), "{:?}", outcome.kinds());
    assert!(outcome.stderr.contains("'inner.free'"), "{}", outcome.stderr);
}

#[test]
fn what_reads_no_images_is_not_run() {
    let gemm = node("Gemm", &["x", "w"], "y");
    let outcome = outcome(vec![gemm], vec![zeros("w", &[12, 4])], &[1, 12]);
    assert_eq!((outcome.code, outcome.check["images"].as_u64()), (Some(0), Some(0)));
    assert!(outcome.notices.contains("was not run"), "{}", outcome.notices);
}

#[test]
fn a_layer_behind_a_flattened_image_has_weights_for_every_position() {
    let ((nodes, weights), (head, read)) = (trunk(3), head("active", 16 * 6 * 6));
    let bytes = bytes(joined([nodes, head]), joined([weights, read]), &[1, 3, 8, 8]);
    let network = Network::of(Model::from_bytes("net", bytes.into()).unwrap(), Default::default());
    let network = network.unwrap();
    let predictor = bundled(BUNDLED[0], &Device::flex()).unwrap();
    let filled = fill(&network, &predictor, &FillOptions::default()).unwrap();
    let parameters = &network.architecture.parameters;
    let head = parameters.iter().position(|parameter| parameter.name == "head.weight").unwrap();
    let weights = filled.networks()[0].weights().by_parameter().nth(head).flatten().unwrap();
    for positions in weights.chunks(36) {
        let different = |at: usize| positions[..at].iter().all(|other| other != &positions[at]);
        assert!((0..36).all(different), "{positions:?}");
    }
}

#[test]
fn cases_are_alive_or_said_not_to_be() {
    for case in [
        "01-own-classes/lenet_advised",
        "01-own-classes/lenet_script",
        "01-own-classes/plain5",
        "02-tinyml/person",
        "02-tinyml/digit",
        "19-fixed-batch-reshape/k1_advised",
    ] {
        let Some(file) = shared(&format!("cases/{case}.onnx")) else { return };
        predict(&file).is_alive();
    }
    let by = |case: &str, kind: &str| {
        predict(&shared(&format!("cases/{case}.onnx")).unwrap()).fails_by(kind);
    };
    by("02-tinyml/conv1d", "default_statistics");
    by("17-rank/dead", "constant_outputs");
}

#[test]
fn heads_that_flatten_are_well_above_chance() {
    let Some(data) = shared("data/cifar10.tar.xz") else { return };
    let data = data.display().to_string();
    for case in ["01-own-classes/lenet_advised", "01-own-classes/lenet_script"] {
        let Some(file) = shared(&format!("cases/{case}.onnx")) else { return };
        let out = tempfile::tempdir().unwrap();
        let folder = out.path().display().to_string();
        let file = file.display().to_string();
        let filled = weightsmith(&["predict", &file, "--out", &folder, "--json"]);
        let filled = json(&filled)["files"][0].as_str().unwrap().to_owned();
        let judged =
            weightsmith(&["evaluate", &filled, "--data", &data, "--limit", "1000", "--json"]);
        assert!(json(&judged)["top1"].as_f64().unwrap() > 0.15, "{case}: {}", json(&judged));
    }
}

/// An export of TorchScript whose module's tensors are inputs, as `export_params=False` writes it.
fn without_values(file: &Path) -> Vec<u8> {
    let mut model = ModelProto::parse_from_bytes(&fs::read(file).unwrap()).unwrap();
    let graph = model.graph.as_mut().unwrap();
    let initializers = std::mem::take(&mut graph.initializer);
    for tensor in initializers {
        if tensor.name.contains("::") {
            graph.initializer.push(tensor);
            continue;
        }
        let extents: Vec<usize> = tensor.dims.iter().map(|&extent| extent as usize).collect();
        let mut input = value(&tensor.name, Some(&extents));
        input.type_.as_mut().unwrap().mut_tensor_type().elem_type = tensor.data_type;
        graph.input.push(input);
    }
    model.write_to_bytes().unwrap()
}

#[test]
fn tables_of_indices_that_an_export_left_out_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("net.onnx");
    let window = "tests/fixtures/spellings/window_attention.script_nofold13.onnx";
    fs::write(&file, without_values(&repository(window))).unwrap();
    let outcome = predict(&file);
    outcome.fails_by("missing_buffers");
    assert!(outcome.stderr.contains("'layers.0.index'"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("export_params=True"), "{}", outcome.stderr);
}
