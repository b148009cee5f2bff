//! Whether networks are traced to the predictor that wrote them.

use std::{fs, path::Path};

use burn::tensor::Device;
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use weightsmith::{
    fill::{Network, fills},
    graph::{DimBindings, ParameterId, Weights},
    onnx::{Model, splice},
    predictor::{Predictor, Sampling, bundled},
    trace::{Trace, Verdict, trace},
    weights::he_initialisation,
    zoo::Groups,
};

use super::{
    beside::repository,
    cli::{json, weightsmith},
};

fn network() -> Network {
    Network::open(repository("architectures/named/resnet-20.onnx")).unwrap()
}

fn predictor(name: &str) -> Predictor {
    bundled(name, &Device::flex()).unwrap()
}

fn written(network: &Network, name: &str) -> Weights {
    let Network { architecture, registry, .. } = network;
    predictor(name).predict(architecture, registry, |_| false).unwrap().weights
}

fn bytes(network: &Network, weights: &Weights) -> Vec<u8> {
    let mut bytes = Vec::new();
    splice::write(&network.model, &fills(network, weights), &mut bytes).unwrap();
    bytes
}

fn traced(network: &Network, weights: &Weights, predictors: &[Predictor]) -> Trace {
    let model = Model::from_bytes("net.onnx", bytes(network, weights).into()).unwrap();
    trace(&Network::of(model, DimBindings::default()).unwrap(), predictors, &[]).unwrap()
}

/// Each value times a factor of its row and one of its column.
fn rescaled(network: &Network, weights: &Weights) -> Weights {
    weights.map(|ParameterId(index), values| {
        let shape = network.architecture.parameters[index].shape.as_deref().unwrap_or_default();
        let &[_, columns, ..] = shape else { return values.to_vec() };
        let taps: usize = shape[2..].iter().product::<usize>().max(1);
        let scale = |index: usize| [0.2f32, 1.0, 3.0, 7.0][(index * 7 + index / 3) % 4];
        let scaled = values.iter().enumerate().map(|(index, value)| {
            let channel = index / taps;
            value * scale(channel / columns) / scale(channel % columns + 1)
        });
        scaled.collect()
    })
}

#[test]
fn a_network_is_traced_through_order_scale_rounding_and_pruning() {
    let (network, predictors) = (network(), [predictor("cifar10"), predictor("mnist")]);
    let weights = written(&network, "cifar10");
    let trace = traced(&network, &weights, &predictors);
    assert_eq!(trace.verdict(), Verdict::Descends);
    let first = &trace.candidates[0];
    assert_eq!(first.predictors, ["cifar10"]);
    assert!(first.similarity > 0.999 && !first.reordered, "{first:?}");
    assert!(first.probability < 1e-9, "{first:?}");
    assert!(trace.candidates[1].excess() < 0.1, "{:?}", trace.candidates[1]);

    let groups = Groups::of(&network.architecture, &network.registry);
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let order = |&size: &usize| {
        let mut order: Vec<usize> = (0..size).collect();
        order.shuffle(&mut random);
        order
    };
    let permutations: Vec<Vec<usize>> = groups.sizes().iter().map(order).collect();
    let changed = groups.permute(&rescaled(&network, &weights), &permutations).unwrap();
    let changed = changed.map(|_, values| {
        let largest = values.iter().fold(0.0f32, |most, value| most.max(value.abs()));
        let level = |value: &f32| (value / largest * 40.0).round() / 40.0 * largest;
        values.iter().map(level).collect()
    });
    let trace = traced(&network, &changed, &predictors);
    assert_eq!(trace.verdict(), Verdict::Descends, "{trace:?}");
    assert!(trace.candidates[0].reordered && trace.candidates[0].excess() > 0.3, "{trace:?}");
}

#[test]
fn samples_descend_and_networks_of_others_do_not() {
    let (network, predictors) = (network(), [predictor("diffusion"), predictor("cifar10")]);
    let Network { architecture, registry, .. } = &network;
    let sampling = Sampling { samples: 3, seed: 11, ..predictors[0].sampling() };
    let samples = predictors[0].sample(architecture, registry, |_| false, &sampling).unwrap();
    for sample in &samples[1..] {
        let trace = traced(&network, &sample.weights, &predictors);
        assert_eq!(trace.verdict(), Verdict::Descends, "{trace:?}");
    }
    let trace = traced(&network, &samples[0].weights, &predictors);
    // Its first sample is what the predictor writes that it is built on.
    assert_eq!(trace.candidates[0].predictors, ["diffusion", "cifar10"]);
    for seed in 0..3 {
        let trace = traced(&network, &he_initialisation(architecture, seed), &predictors);
        assert_eq!(trace.verdict(), Verdict::NoSign, "{trace:?}");
    }
}

#[test]
fn the_program_says_so_and_ends_accordingly() {
    let folder = tempfile::tempdir().unwrap();
    let network = network();
    let file = |name: &str, network: &Network, weights: &Weights| {
        let path = folder.path().join(name);
        fs::write(&path, bytes(network, weights)).unwrap();
        path.display().to_string()
    };
    let run = |file: &str| {
        weightsmith(&["trace", file, "--predictor", "cifar10", "--predictor", "mnist", "--json"])
    };
    let ours = file("ours.onnx", &network, &written(&network, "mnist"));
    let output = run(&ours);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let said = json(&output);
    assert_eq!(said["verdict"], "descends");
    assert_eq!(said["candidates"][0]["predictors"][0], "mnist");
    assert!(said["claim"].is_null());
    let text = weightsmith(&["trace", &ours, "--predictor", "mnist"]).stdout;
    assert!(String::from_utf8(text).unwrap().starts_with("descends from mnist\n"));

    let other = file("other.onnx", &network, &he_initialisation(&network.architecture, 1));
    let output = run(&other);
    assert_eq!((output.status.code(), &json(&output)["verdict"]), (Some(1), &"no sign".into()));

    let empty = repository("architectures/named/resnet-20.onnx").display().to_string();
    let output = run(&empty);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("has no value"));
    assert!(Path::new(&empty).exists());
}

#[test]
fn only_the_key_that_marked_a_network_finds_its_mark() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let [first, second, short] = ["first.key", "second.key", "short.key"].map(path);
    fs::write(&first, [7; 32]).unwrap();
    fs::write(&second, [8; 32]).unwrap();
    fs::write(&short, "guess me").unwrap();
    let empty = repository("architectures/named/resnet-20.onnx").display().to_string();
    let predict = |out: &str, further: &[&str]| {
        let out = path(out);
        let common = ["predict", &empty, "--out", &out, "--device", "flex"];
        weightsmith(&[&common, further].concat())
    };
    assert!(predict("plain", &[]).status.success());
    assert!(predict("marked", &["--watermark", &first]).status.success());
    let refused = predict("refused", &["--watermark", &short]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("too short"));

    let marks = |folder: &str| {
        let file = path(folder) + "/resnet-20.onnx";
        let keys = ["--watermark", &first, "--watermark", &second, "--json"];
        let output =
            weightsmith(&[&["trace", &file, "--predictor", "cifar10"], &keys[..]].concat());
        assert_eq!(output.status.code(), Some(0));
        let said = json(&output);
        let marks = said["candidates"][0]["marks"].as_array().unwrap().clone();
        marks.iter().map(|mark| mark["probability"].as_f64().unwrap()).collect::<Vec<_>>()
    };
    let marked = marks("marked");
    assert!(marked[0] < 1e-9 && marked[1] > 1e-3, "{marked:?}");
    let plain = marks("plain");
    assert!(plain.iter().all(|probability| *probability > 1e-3), "{plain:?}");

    let file = path("marked") + "/resnet-20.onnx";
    let again = |further: &[&str]| {
        weightsmith(
            &[&["verify", &file, "--regenerate", &empty, "--device", "flex"], further].concat(),
        )
    };
    assert_eq!(again(&["--watermark", &first]).status.code(), Some(0));
    assert_eq!(again(&["--watermark", &second]).status.code(), Some(1));
    let without = again(&[]);
    assert_eq!(without.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&without.stderr).contains("--watermark"));
}
