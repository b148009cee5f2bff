//! Operators that a predictor knows, those that others stand in for, and runs that start from a
//! predictor with another vocabulary.

use std::{fs, path::Path, process::Command};

use approx::assert_relative_eq;
use burn::tensor::Device;
use serde_json::Value;
use weightsmith::{
    graph::{Architecture, ParameterId, Role},
    neural,
    onnx::Model,
    ops::{OperatorFamily, Registry, Response, Vocabulary, resolve},
    predictor::{Network, Predictor, bundled},
};

use super::digits::write_idx;

fn architecture(name: &str) -> Architecture {
    let path = format!("{}/architectures/named/{name}.onnx", env!("CARGO_MANIFEST_DIR"));
    let mut architecture =
        Architecture::from_model(&Model::open(Path::new(&path)).unwrap()).unwrap();
    resolve(&mut architecture, &Registry::standard()).unwrap();
    architecture
}

/// The bundled predictor with another vocabulary.
fn with_vocabulary(names: Vec<String>) -> Predictor {
    let device = Device::flex();
    let predictor = bundled("cifar10", &device).unwrap();
    let vocabulary = Vocabulary::from_names(names);
    let config = &predictor.config;
    let empty = Network::new(&config.network, &config.input, vocabulary.len(), &device);
    let entries = neural::entries(&empty);
    let values =
        predictor.starting_values(&entries, 0, &vocabulary, &Registry::standard()).unwrap();
    Predictor { network: neural::with_values(empty, &values, &device), vocabulary, ..predictor }
}

/// The bundled predictor with the vocabulary of this one but for an operator.
fn without(predictor: &Predictor, operator: &str) -> Predictor {
    let names = predictor.vocabulary.names().iter();
    with_vocabulary(names.filter(|name| *name != operator).cloned().collect())
}

/// What training with the vocabulary of `full` would start from, where it starts from `smaller`.
fn started(smaller: &Predictor, full: Predictor) -> Predictor {
    let entries = neural::entries(&full.network);
    let values =
        smaller.starting_values(&entries, 0, &full.vocabulary, &Registry::standard()).unwrap();
    let network = neural::with_values(full.network, &values, &Device::flex());
    let like = with_vocabulary(smaller.vocabulary.names().to_vec());
    Predictor { network, vocabulary: full.vocabulary, ..like }
}

#[test]
fn every_operator_says_its_family() {
    let without: Vec<&str> = Registry::standard()
        .operators()
        .filter(|operator| operator.family() == OperatorFamily::Other)
        .map(|operator| operator.op_type())
        .collect();
    assert_eq!(without, [""; 0]);
}

#[test]
fn a_larger_vocabulary_changes_no_prediction() {
    let architecture = architecture("resnet-20");
    let predictor = bundled("cifar10", &Device::flex()).unwrap();
    let weights = |predictor: &Predictor| {
        let prediction =
            predictor.predict(&architecture, &Registry::standard(), |_| false).unwrap();
        assert_eq!(prediction.stand_ins, []);
        prediction.weights
    };
    let mut names = predictor.vocabulary.names().to_vec();
    names.insert(0, "com.example::New".to_owned());
    names.swap(3, 40);
    assert_eq!(weights(&predictor), weights(&with_vocabulary(names)));
}

#[test]
fn an_operator_that_was_never_met_is_taken_for_its_nearest_relatives() {
    let architecture = architecture("resnet-20");
    let full = bundled("cifar10", &Device::flex()).unwrap();
    let is_new = |name: &str| ["Relu", "BatchNormalization"].contains(&name);
    let names = full.vocabulary.names().to_vec();
    let less: Vec<String> = names.iter().filter(|name| !is_new(name)).cloned().collect();
    let smaller = with_vocabulary(less);
    let outside = smaller.predict(&architecture, &Registry::standard(), |_| false).unwrap();
    let [norm, relu] = &outside.stand_ins[..] else { panic!("{:?}", outside.stand_ins) };
    // A function of a number has the one that does most nearly the same,
    assert_eq!((relu.operator.as_str(), relu.family), ("Relu", OperatorFamily::Activation));
    assert_eq!(relu.mean_of, ["LeakyRelu"]);
    assert!(relu.to_string().contains("never met Relu"), "{relu}");
    // all else its family.
    assert_eq!(norm.family, OperatorFamily::Normalisation);
    assert!(norm.mean_of.contains(&"GroupNormalization".to_owned()));
    assert!(!norm.mean_of.contains(&"Conv".to_owned()));

    // The same for one that is in the vocabulary, but was not met in training,
    let mut unmet = full;
    let met = unmet.config.training.operators_met.take().unwrap();
    let others = met.into_iter().filter(|name| !is_new(name));
    unmet.config.training.operators_met = Some(others.collect());
    let inside = unmet.predict(&architecture, &Registry::standard(), |_| false).unwrap();
    assert_eq!(outside.stand_ins, inside.stand_ins);
    assert_eq!(outside.weights, inside.weights);

    // and what training would start from: a mean of the family is all there is to it.
    let smaller = without(&unmet, "BatchNormalization");
    let outside = smaller.predict(&architecture, &Registry::standard(), |_| false).unwrap();
    let started =
        started(&smaller, unmet).predict(&architecture, &Registry::standard(), |_| false).unwrap();
    assert_eq!(started.stand_ins, []);
    for (a, b) in started.weights.values().zip(outside.weights.values()) {
        assert_relative_eq!(*a, *b, epsilon = 1e-6);
    }
}

#[test]
fn a_network_without_messages_starts_from_one_with_them() {
    let device = Device::flex();
    let predictor = bundled("cifar10", &device).unwrap();
    let mut config = predictor.config.network.clone();
    config.encoder.message_passing = false;
    config.sources = false;
    let operators = predictor.config.vocabulary.len();
    let without = Network::new(&config, &predictor.config.input, operators, &device);
    let entries = neural::entries(&without);
    let values = predictor
        .starting_values(&entries, 0, &predictor.vocabulary, &Registry::standard())
        .unwrap();
    assert_eq!(values.len(), entries.iter().map(neural::Entry::len).sum::<usize>());
    // A part of another size is no part that the network does without.
    config.encoder.message_passing = true;
    config.encoder.layers -= 1;
    let shallower = Network::new(&config, &predictor.config.input, operators, &device);
    let refused = predictor.starting_values(
        &neural::entries(&shallower),
        0,
        &predictor.vocabulary,
        &Registry::standard(),
    );
    assert!(refused.unwrap_err().to_string().contains("no place"), "a block is left over");
}

#[test]
fn a_deeper_network_starts_with_the_predictions_of_a_shallower_one() {
    let device = Device::flex();
    let predictor = bundled("cifar10", &device).unwrap();
    let architecture = architecture("plain-cnn");
    let registry = Registry::standard();
    let before = predictor.predict(&architecture, &registry, |_| false).unwrap();
    let mut config = predictor.config.network.clone();
    config.encoder.layers += 2;
    let operators = predictor.config.vocabulary.len();
    let deeper = Network::new(&config, &predictor.config.input, operators, &device);
    let entries = neural::entries(&deeper);
    let values = predictor.starting_values(&entries, 0, &predictor.vocabulary, &registry).unwrap();
    let network = neural::with_values(deeper, &values, &device);
    let predictor = Predictor { network, ..predictor };
    let after = predictor.predict(&architecture, &registry, |_| false).unwrap();
    assert_eq!(before.weights, after.weights);
}

#[test]
fn a_run_starts_where_another_predictor_ended() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    write_idx(&data);
    let run = |name: &str, head: &str, width: usize, steps: u64, rate: f32, further: &[&str]| {
        let out = folder.path().join(name);
        let config = folder.path().join(format!("{name}.toml"));
        let text = format!(
            "name = {name:?}\nspace = \"tiny\"\ndata = {data:?}\nout = {out:?}\nmeta_batch = 2\n\
             batch = 4\ngraphs = 4\nvalidate_every = 100\n{head}\n\
             [network]\ntrunk = 16\nhidden = {width}\ncalibration = 2\n\
             [network.encoder]\nwidth = 16\nheads = 2\nlayers = 1\n\
             [optimiser]\nlearning_rate = {rate:?}\n\
             [[stages]]\nsteps = {steps}\nsize = 16\nstatistics = \"calibration\"\n",
        );
        fs::write(&config, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_weightsmith"));
        command.arg("train").arg(&config).args(["--device", "flex", "-q"]).args(further);
        let output = command.output().unwrap();
        (out, String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let record = |out: &Path| -> Value {
        let json = fs::read(out.join("predictor/config.json")).unwrap();
        serde_json::from_slice::<Value>(&json).unwrap()["training"].clone()
    };
    let load = |out: &Path| Predictor::load(&out.join("predictor"), &Device::flex()).unwrap();
    let (first, error) = run("first", "", 16, 2, 1e-3, &[]);
    assert_eq!(error, "");
    assert!(record(&first)["initial"].is_null());
    let met = record(&first)["operators_met"].clone();
    assert!(met.as_array().unwrap().contains(&"Conv".into()), "{met}");

    // A run that does not learn ends where it started, apart from operators never met.
    let initial = first.join("predictor");
    let head = format!("initial = {initial:?}");
    let (second, error) = run("second", &head, 16, 1, 0.0, &[]);
    assert_eq!(error, "");
    let [before, after] = [&first, &second].map(|out| load(out));
    let mut start = 0;
    let values = [&before, &after].map(|predictor| neural::values(&predictor.network));
    for entry in neural::entries(&before.network) {
        let range = start..start + entry.len();
        start = range.end;
        let [before, after] = values.each_ref().map(|values| &values[range.clone()]);
        assert!(before == after || entry.name == Network::OPERATORS, "{}", entry.name);
    }
    let rows = |predictor: &Predictor, name: &str| -> Vec<f32> {
        let row = predictor.vocabulary.index("", name).unwrap();
        predictor.network.operators().narrow(0, row, 1).into_data().try_to_vec().unwrap()
    };
    assert_eq!(rows(&before, "Conv"), rows(&after, "Conv"));
    assert_eq!(rows(&after, "ConvTranspose"), rows(&after, "Conv"));
    let started = record(&second)["initial"].clone();
    assert_eq!(started["predictor"], initial.display().to_string());
    assert_eq!(started["hash"].as_str().unwrap().len(), 64);

    let (_, error) = run("wider", &head, 24, 1, 0.0, &[]);
    assert!(error.contains("'trunk.weight' has shape"), "{error}");

    // A run that goes on keeps what it has, though its start is gone.
    fs::remove_dir_all(&first).unwrap();
    let (_, error) = run("second", &head, 16, 2, 0.0, &["--resume"]);
    assert_eq!(error, "");
    assert_eq!(record(&second)["initial"], started);
}

#[test]
fn layers_behind_a_stand_in_make_up_for_the_difference() {
    let architecture = architecture("plain-cnn");
    let full = bundled("cifar10", &Device::flex()).unwrap();
    let smaller = without(&full, "Relu");
    let outside = smaller.predict(&architecture, &Registry::standard(), |_| false).unwrap();
    // The same embedding under its own name: nothing to make up for.
    let plain =
        started(&smaller, full).predict(&architecture, &Registry::standard(), |_| false).unwrap();

    let response =
        |name: &str| Response::by_default(Registry::standard().get("", name).unwrap()).unwrap();
    let affine = response("Relu").as_affine_of(&response("LeakyRelu")).unwrap();
    assert!((affine.factor - 1.0).abs() > 1e-3, "{affine:?}");
    let mut layers = 0;
    for (index, parameter) in architecture.parameters.iter().enumerate() {
        if parameter.role() != Some(Role::Weight) {
            continue;
        }
        let factor = if layers == 0 { 1.0 } else { affine.factor };
        let [own, other] = [&outside, &plain].map(|it| it.weights.get(ParameterId(index)).unwrap());
        for (own, other) in own.iter().zip(other) {
            assert_relative_eq!(own * factor, *other, epsilon = 1e-6, max_relative = 1e-4);
        }
        layers += 1;
    }
    assert_eq!(layers, 4);
}
