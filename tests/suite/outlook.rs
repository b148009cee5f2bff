//! What to expect of a prediction, said before anyone trusts it.

use std::{fs, path::Path};

use burn::tensor::Device;
use protobuf::Message;
use weightsmith::{
    fill::{FillOptions, Network, fill},
    onnx::Model,
    predictor::{BUNDLED, Expected, Outlook, Predictor, Quantity, bundled},
    spaces::{Bounds, Family, Space},
};

use super::{
    beside::repository,
    cli::{json, weightsmith},
    fingerprint::{disguised, parse},
};

fn named(name: &str) -> Network {
    Network::open(repository(&format!("architectures/named/{name}.onnx"))).unwrap()
}

fn read(onnx: impl Into<bytes::Bytes>) -> Network {
    Network::of(Model::from_bytes("it", onnx.into()).unwrap(), Default::default()).unwrap()
}

/// The graph of a seed of the space `corpus` with changes.
fn sampled(changes: &str) -> Network {
    read(Space::derived("corpus", changes.parse().unwrap()).unwrap().sample(0).unwrap().onnx)
}

fn outlook(predictor: &Predictor, network: &Network) -> Outlook {
    predictor.outlook(&network.architecture, &network.registry).unwrap().unwrap()
}

#[test]
fn a_common_network_has_an_outlook() {
    let network = named("resnet-20");
    let filled = |name: &str| {
        let predictor = bundled(name, &Device::flex()).unwrap();
        let filled = fill(&network, &predictor, &FillOptions::default()).unwrap();
        filled.report().outlook.clone()
    };
    let by_default = filled(BUNDLED[0]).unwrap();
    let Expected::HeldOut { low, median, high, .. } = by_default.expected else {
        panic!("{by_default:?}")
    };
    assert!(0.3 < low && low <= median && median <= high && high < 0.8, "{by_default:?}");
    assert!(by_default.distance < 2.5);
    // Its first sample is what the predictor below it writes.
    assert_eq!(filled("cifar10").as_ref(), Some(&by_default));
    assert_eq!(filled("mnist"), None);
}

#[test]
fn the_binary_says_it() {
    let folder = tempfile::tempdir().unwrap();
    let model = repository("architectures/named/plain-cnn.onnx").display().to_string();
    let [told_to, json_to] =
        ["told", "json"].map(|name| folder.path().join(name).display().to_string());
    let predict = ["predict", &model, "--device", "flex", "--out"];
    let told = weightsmith(&[&predict[..], &[told_to.as_str()]].concat());
    let told = String::from_utf8(told.stdout).unwrap();
    let line = told.lines().find(|line| line.starts_with("outlook: ")).unwrap();
    assert!(line.contains("held-out graphs") && line.contains("images"), "{line}");
    let output = json(&weightsmith(&[&predict[..], &[json_to.as_str(), "--json"]].concat()));
    assert_eq!(output["outlook"]["expected"]["from"], "held_out");
    let report = fs::read(folder.path().join("told/report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(report["outlook"], output["outlook"]);
}

#[test]
fn a_graph_unlike_training_is_told() {
    let predictor = bundled("cifar10", &Device::flex()).unwrap();
    let usual = outlook(&predictor, &sampled("name = 'corpus'"));
    assert_eq!(usual.beyond, []);
    let mut space = Space::load("corpus").unwrap();
    space.name = "huge".to_owned();
    space.families.retain(|rule| rule.family == Family::Plain);
    space.families[0].width = [512, 1024];
    space.families[0].blocks = vec![(9, 1.0)];
    space.widths.last = 1024;
    space.bounds = Bounds {
        parameters: [0, u64::MAX],
        multiply_accumulates: [0, u64::MAX],
        depth: [0, 200],
        norm_free_depth: 200,
        ..space.bounds
    };
    let huge = read(space.sample(0).unwrap().onnx);
    let far = outlook(&predictor, &huge);
    assert!(far.distance > 2.0 * usual.distance, "{far}");
    let beyond: Vec<Quantity> = far.beyond.iter().map(|beyond| beyond.quantity).collect();
    assert!(beyond.contains(&Quantity::Width) && beyond.contains(&Quantity::Parameters), "{far}");
}

#[test]
fn no_accuracy_is_promised_for_other_classes() {
    let predictor = bundled("cifar10", &Device::flex()).unwrap();
    let five = outlook(&predictor, &sampled("name = 'five'\nclasses = 5"));
    assert_eq!(five.expected, Expected::OtherTask);
}

#[test]
fn names_and_order_of_nodes_do_not_matter() {
    let predictor = bundled("cifar10", &Device::flex()).unwrap();
    let network = named("shufflenet-v2");
    let onnx = fs::read(repository("architectures/named/shufflenet-v2.onnx")).unwrap();
    let other = read(disguised(&parse(&onnx), 3).write_to_bytes().unwrap());
    let [one, other] = [&network, &other].map(|network| outlook(&predictor, network));
    approx::assert_relative_eq!(one.distance, other.distance, max_relative = 1e-3);
    assert_eq!((one.expected, one.beyond), (other.expected, other.beyond));
}

#[test]
fn a_table_of_another_predictor_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["config.json", "model.safetensors", "outlook.json"] {
        let from = repository("predictors/cifar10").join(file);
        fs::copy(from, folder.path().join(file)).unwrap();
    }
    let load = |folder: &Path| Predictor::load(folder, &Device::flex()).unwrap().outlook_table;
    assert!(load(folder.path()).is_some());
    let config = fs::read_to_string(folder.path().join("config.json")).unwrap();
    fs::write(folder.path().join("config.json"), config + "\n").unwrap();
    assert_eq!(load(folder.path()), None);
}
