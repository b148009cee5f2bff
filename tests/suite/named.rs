//! The named networks: files, sizes, documentation and that they run.

use std::{collections::BTreeSet, fs, path::PathBuf};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use weightsmith::{
    execute::{Images, NormStatistics, Runner, Scratch},
    graph::{Architecture, Parameter, Role, Weights},
    onnx::Model,
    ops::{Registry, resolve},
    spaces::{NAMED, Named, plain_cnn, residual_network},
};

#[path = "../../examples/named_architectures/table.rs"]
mod table;

/// How to make what is stale again.
const REFRESH: &str = "run `cargo run --release --example named_architectures`";

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("architectures")
}

/// The network as our reader sees it, for one image.
fn resolved(named: &Named) -> Architecture {
    let model = Model::from_bytes(named.name, named.onnx().into()).unwrap();
    let mut architecture = Architecture::from_model(&model).unwrap();
    let resolution = resolve(&mut architecture, &Registry::standard()).unwrap();
    assert!(resolution.unsupported.is_empty(), "{}: {:?}", named.name, resolution.unsupported);
    architecture
}

fn learnable(parameter: &Parameter) -> bool {
    !matches!(parameter.role(), Some(Role::RunningMean | Role::RunningVariance))
}

#[test]
fn named_architectures_are_up_to_date() {
    let files: BTreeSet<String> = fs::read_dir(folder().join("named"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let names: BTreeSet<String> = NAMED.iter().map(|it| format!("{}.onnx", it.name)).collect();
    assert_eq!(names.len(), NAMED.len(), "a name stands twice");
    assert_eq!(files, names, "{REFRESH}");
    for named in NAMED {
        let file = format!("{}.onnx", named.name);
        let stored = fs::read(folder().join("named").join(&file)).unwrap();
        assert!(stored == named.onnx(), "{file} is stale: {REFRESH}");
    }
    let readme = fs::read_to_string(folder().join("README.md")).unwrap();
    assert!(readme.contains(&table::markdown()), "the table in the README is stale: {REFRESH}");
}

#[test]
fn parameters_are_as_many_as_elsewhere() {
    for named in NAMED {
        let architecture = resolved(named);
        let (mut count, mut class) = (0, 0);
        for parameter in architecture.parameters.iter().filter(|it| learnable(it)) {
            assert!(parameter.role().is_some(), "{}: {}", named.name, parameter.name);
            count += parameter.len().unwrap();
            // The last tensors of ten rows are the classifier.
            if parameter.shape.as_ref().is_some_and(|shape| shape[0] == 10) {
                class += parameter.len().unwrap() / 10;
            }
        }
        assert_eq!(count as u64, named.parameters, "{}", named.name);
        if let Some(published) = named.published {
            let whole = (count + class * (published.classes - 10)) as f64 / 1e6;
            let off = (whole / published.millions - 1.0).abs();
            assert!(off < 0.035, "{}: {whole} M, not {} M", named.name, published.millions);
        }
    }
}

#[test]
fn costs_are_as_published() {
    let macs = |name: &str| Named::find(name).unwrap().multiply_accumulates();
    // 153.27 M in the benchmark's tables.
    assert_eq!(macs("nas-bench-201-best"), 153_272_960);
    // By hand.
    let convolutions = 28 * 28 * 6 * 25 + 10 * 10 * 16 * 150;
    assert_eq!(macs("lenet-5"), convolutions + 400 * 120 + 120 * 84 + 84 * 10);
}

#[test]
fn every_named_network_runs() {
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let mut uniform = |low: f32, high: f32, count: usize| -> Vec<f32> {
        (0..count).map(|_| random.random_range(low..high)).collect()
    };
    for named in NAMED {
        let architecture = resolved(named);
        let weights: Weights = architecture
            .parameters
            .iter()
            .map(|parameter| {
                let bound = (3.0 / parameter.slots[0].fan_in as f32).sqrt();
                match parameter.role() {
                    Some(Role::Weight) => uniform(-bound, bound, parameter.len().unwrap()),
                    Some(Role::RunningVariance | Role::Gain) => {
                        vec![1.0; parameter.len().unwrap()]
                    }
                    _ => vec![0.0; parameter.len().unwrap()],
                }
            })
            .collect();
        let [channels, height, width] = named.input;
        let data = uniform(-1.0, 1.0, channels * height * width);
        let images = Images { batch: 1, channels, height, width, data: &data };
        let logits = Runner::new(&architecture, &Registry::standard())
            .logits(&weights, images, &NormStatistics::Running, &mut Scratch::default())
            .unwrap();
        assert_eq!(logits.len(), 10, "{}", named.name);
        assert!(logits.iter().all(|logit| logit.is_finite()), "{}: {logits:?}", named.name);
        assert!(logits.iter().any(|&logit| logit != logits[0]), "{}: {logits:?}", named.name);
    }
}

#[test]
fn shortcuts_to_named_networks_are_what_they_say() {
    let onnx = |name: &str| Named::find(name).unwrap().onnx();
    assert!(plain_cnn() == onnx("plain-cnn"));
    assert!(residual_network("resnet-20", 16) == onnx("resnet-20"));
    assert!(Named::find("resnet-21").is_none());
}
