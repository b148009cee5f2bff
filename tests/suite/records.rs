//! What is written beside filled networks for others: the bill of materials and the model card.

use std::{fs, path::Path};

use burn::tensor::Device;
use safetensors::SafeTensors;
use serde_json::Value;
use weightsmith::{
    fill::{FillError, FillOptions, Network, SamplingOptions, WriteOptions, fill},
    onnx::sha256,
    predictor::bundled,
};

use super::beside::repository;

/// Two samples of a small network, and an ensemble of them.
fn written(folder: &Path) -> Value {
    let network = Network::open(repository("architectures/named/plain-cnn.onnx")).unwrap();
    let predictor = bundled("diffusion", &Device::flex()).unwrap();
    let sampling = SamplingOptions { samples: Some(2), ..SamplingOptions::default() };
    let options = FillOptions { sampling, ensemble: true, ..FillOptions::default() };
    fill(&network, &predictor, &options).unwrap().write(folder).unwrap();
    serde_json::from_slice(&fs::read(folder.join("bom.json")).unwrap()).unwrap()
}

#[test]
fn the_bill_lists_every_file_and_every_ancestor_by_its_hash() {
    let folder = tempfile::tempdir().unwrap();
    let bom = written(folder.path());
    let listed = bom["components"].as_array().unwrap();
    assert_eq!(listed.len(), 7);
    for file in listed {
        let bytes = fs::read(folder.path().join(file["name"].as_str().unwrap())).unwrap();
        assert_eq!(file["hashes"][0]["content"], sha256(&bytes), "{file}");
    }
    let model = &bom["metadata"]["component"];
    let names: Vec<&str> = model["pedigree"]["ancestors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|ancestor| ancestor["name"].as_str().unwrap())
        .collect();
    assert_eq!(names[..2], ["diffusion", "cifar10"]);
    assert_eq!(names.last(), Some(&"plain-cnn.onnx"));
    let predictor = bundled("diffusion", &Device::flex()).unwrap();
    let ancestor = &model["pedigree"]["ancestors"][0];
    assert_eq!(ancestor["hashes"][0]["content"], predictor.hash);
    let data = model["modelCard"]["modelParameters"]["datasets"].to_string();
    assert!(data.contains("cifar10") && data.contains("no formal licence"), "{data}");
    let metric = &model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"][0];
    let number = |value: &Value| value.as_str().unwrap().parse::<f64>().unwrap();
    let interval = &metric["confidenceInterval"];
    let [low, middle, high] =
        [&interval["lowerBound"], &metric["value"], &interval["upperBound"]].map(number);
    assert!(0.1 < low && low <= middle && middle <= high && high < 1.0, "{metric}");
}

#[test]
fn state_dicts_say_where_their_weights_come_from() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path());
    let bytes = fs::read(folder.path().join("plain-cnn.1.safetensors")).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let origin = header.metadata().as_ref().unwrap();
    assert_eq!(origin["format"], "pt");
    assert_eq!(origin["weightsmith.predictor"], "diffusion");
    assert!(origin["weightsmith.drawn"].starts_with("sample 1 of 2"));
    let network = Network::open(folder.path().join("plain-cnn.1.onnx")).unwrap();
    for (name, value) in origin.iter().filter(|(name, _)| *name != "format") {
        assert_eq!(network.model.metadata(name), Some(value.as_str()), "{name}");
    }
}

#[test]
fn the_card_of_somebody_else_is_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let card = folder.path().join("README.md");
    written(folder.path());
    let text = fs::read_to_string(&card).unwrap();
    assert!(text.starts_with("---\nlibrary_name: weightsmith\n"), "{text}");
    assert!(text.contains("session = onnxruntime.InferenceSession(\"plain-cnn.onnx\")"), "{text}");

    let network = Network::open(repository("architectures/named/plain-cnn.onnx")).unwrap();
    let predictor = bundled("cifar10", &Device::flex()).unwrap();
    let filled = fill(&network, &predictor, &FillOptions::default()).unwrap();
    let overwrite = WriteOptions { overwrite: true };
    filled.write_with(folder.path(), &overwrite).unwrap();
    fs::write(&card, "# My project\n").unwrap();
    let before = fs::read(folder.path().join("report.json")).unwrap();
    let refused = filled.write_with(folder.path(), &overwrite).unwrap_err();
    assert!(matches!(refused, FillError::ForeignCard { .. }), "{refused}");
    assert_eq!(fs::read_to_string(&card).unwrap(), "# My project\n");
    assert_eq!(fs::read(folder.path().join("report.json")).unwrap(), before);
}
