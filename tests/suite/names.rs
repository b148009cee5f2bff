//! State-dict names and shapes, and that every parameter of a file is in the report: on exports that
//! `tests/python/write_name_fixtures.py` writes, and on those that users brought.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use weightsmith::fill::Network;

use super::beside::{repository, shared};

fn fixture(name: &str) -> PathBuf {
    repository("tests/fixtures/names").join(format!("{name}.onnx"))
}

/// Names and extents of the state dict, without what the exporter made up.
fn names(path: &Path) -> BTreeMap<String, Vec<usize>> {
    let network = Network::open(path).unwrap();
    let all = network.names.iter().enumerate();
    all.filter(|(_, name)| !name.starts_with('/'))
        .map(|(index, name)| (name.clone(), network.torch_shape(index).unwrap()))
        .collect()
}

fn state_dict(expected: &[(&str, &[usize])]) -> BTreeMap<String, Vec<usize>> {
    expected.iter().map(|(name, shape)| ((*name).to_owned(), shape.to_vec())).collect()
}

#[test]
fn attention_is_named_by_its_biases_or_by_its_shapes() {
    let with_bias = state_dict(&[
        ("a.in_proj_weight", &[24, 8]),
        ("a.in_proj_bias", &[24]),
        ("a.out_proj.weight", &[8, 8]),
        ("a.out_proj.bias", &[8]),
    ]);
    assert_eq!(names(&fixture("attention")), with_bias);
    let without = state_dict(&[("a.in_proj_weight", &[24, 8]), ("a.out_proj.weight", &[8, 8])]);
    assert_eq!(names(&fixture("attention_without_bias")), without);
    let Some(case) = shared("cases/07-mha-names/mha_script.onnx") else { return };
    assert_eq!(names(&case)["a.in_proj_weight"], [144, 48]);
    assert_eq!(names(&case)["a.out_proj.weight"], [48, 48]);
}

#[test]
fn names_that_are_right_stay() {
    let expected = state_dict(&[
        ("d.in-proj.weight", &[8, 8]),
        ("d.in-proj.bias", &[8]),
        ("d.out proj.weight", &[4, 8]),
        ("d.out proj.bias", &[4]),
        ("body.0.0.weight", &[4, 4]),
        ("scale", &[4]),
    ]);
    assert_eq!(names(&fixture("containers")), expected);
    let Some(case) = shared("cases/07-mha-names/mlp3d_script.onnx") else { return };
    let expected = state_dict(&[
        ("d.in-proj.weight", &[64, 48]),
        ("d.in-proj.bias", &[64]),
        ("d.out proj.weight", &[10, 64]),
        ("d.out proj.bias", &[10]),
    ]);
    assert_eq!(names(&case), expected);
}

#[test]
fn vectors_that_were_reshaped_have_one_axis_again() {
    let expected = state_dict(&[
        ("c.weight", &[8, 3, 3, 3]),
        ("c.bias", &[8]),
        ("slope.weight", &[8]),
        ("one_slope.weight", &[1]),
        ("norm.weight", &[8]),
        ("norm.bias", &[8]),
    ]);
    assert_eq!(names(&fixture("image")), expected);
    assert_eq!(names(&fixture("image_unfolded")), expected);
    // A parameter that the module itself holds like that stays.
    let Some(case) = shared("cases/18-prelu-groupnorm/norms_advised.onnx") else { return };
    assert_eq!(names(&case)["gamma"], [32, 1, 1]);
    let Some(case) = shared("cases/18-prelu-groupnorm/prelu_script.onnx") else { return };
    let found = names(&case);
    assert_eq!([&found["p1.weight"][..], &found["g.weight"], &found["g.bias"]], [[32]; 3]);
}

#[test]
fn biases_that_the_exporter_removed_are_those_of_the_module() {
    let spelling = |name: &str| repository("tests/fixtures/spellings").join(format!("{name}.onnx"));
    let zero_bias = names(&spelling("zero_bias.dynamo"));
    assert_eq!(zero_bias["5.bias"], [4]);
    assert!(!zero_bias.contains_key("2.bias"), "{zero_bias:?}");
    assert_eq!(zero_bias, names(&spelling("zero_bias.unfolded")));
    // One that is folded together with a norm cannot be told from it.
    let network = Network::open(spelling("bias_and_norm.dynamo")).unwrap();
    let folded = |notice: &&String| notice.contains("set them to zero");
    assert_eq!(network.architecture.notices.iter().filter(folded).count(), 1);
    assert!(!network.names.contains(&"0.bias".to_owned()), "{:?}", network.names);
}

#[test]
fn tensors_of_an_lstm_are_those_of_the_module() {
    let spelling = |form: &str| {
        let file = repository("tests/fixtures/spellings").join(format!("lstm.{form}.onnx"));
        let mut names = names(&file);
        names.retain(|name, _| name.starts_with("layers.0."));
        names
    };
    let mut expected = Vec::new();
    for (module, layer, features, hidden) in
        [("both", 0, 4, 3), ("both", 1, 6, 3), ("last", 0, 6, 4)]
    {
        for direction in if module == "both" { &["", "_reverse"][..] } else { &[""] } {
            let mut add = |name: &str, shape: &[usize]| {
                expected.push((
                    format!("layers.0.{module}.{name}_l{layer}{direction}"),
                    shape.to_vec(),
                ));
            };
            add("weight_ih", &[4 * hidden, features]);
            add("weight_hh", &[4 * hidden, hidden]);
            if module == "both" {
                add("bias_ih", &[4 * hidden]);
                add("bias_hh", &[4 * hidden]);
            }
        }
    }
    let expected: BTreeMap<String, Vec<usize>> = expected.into_iter().collect();
    for form in ["unfolded", "dynamo", "script", "script_nofold13"] {
        assert_eq!(spelling(form), expected, "{form}");
    }
}

/// Fills a network; the exit code, the notices, and the tensors of the report by state-dict name.
fn predict(file: &Path, out: &Path) -> (Option<i32>, String, BTreeMap<String, Value>) {
    let output = Command::new(env!("CARGO_BIN_EXE_weightsmith"))
        .args(["predict", "--quiet", "--device", "flex", "--force", "--out"])
        .args([out, file])
        .output()
        .unwrap();
    let report: Value =
        serde_json::from_slice(&fs::read(out.join("report.json")).unwrap()).unwrap();
    let tensors = report["tensors"].as_array().unwrap().iter();
    let named = |tensor: &Value| Some((tensor["state_dict"].as_str()?.to_owned(), tensor.clone()));
    (output.status.code(), report["notices"].to_string(), tensors.filter_map(named).collect())
}

#[test]
fn parameters_that_no_supported_operator_learns_are_in_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let recurrent = ["rnn.weight_ih_l0", "rnn.weight_hh_l0", "rnn.bias_ih_l0", "rnn.bias_hh_l0"];
    let sliced = ["a.in_proj_weight", "a.in_proj_bias"];
    let cases = [
        (fixture("gru"), &recurrent[..], "(GRU), which is not supported"),
        (fixture("cross_attention"), &sliced[..], "further than weights are followed"),
    ];
    for (file, expected, reason) in cases {
        let (code, notices, tensors) = predict(&file, folder.path());
        assert_eq!(code, Some(3), "{}", file.display());
        assert!(notices.contains(reason), "{notices}");
        for name in expected {
            let tensor = &tensors[*name];
            assert_eq!(tensor["label"], "skipped", "{name}");
            assert!(tensor["reason"].as_str().unwrap().contains(reason), "{name}: {tensor}");
        }
    }
}

#[test]
fn state_dicts_of_every_float_type_are_read_back() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["half", "bf16", "double"] {
        let Some(case) = shared(&format!("cases/11-fp16/{name}.onnx")) else { return };
        let (code, ..) = predict(&case, folder.path());
        assert_eq!(code, Some(0), "{name}");
        let network = Network::open(folder.path().join(format!("{name}.onnx"))).unwrap();
        let dict = folder.path().join(format!("{name}.safetensors"));
        let weights = network.state_dict_weights(&dict).unwrap();
        assert_eq!(weights, network.stored_weights().unwrap(), "{name}");
    }
}
