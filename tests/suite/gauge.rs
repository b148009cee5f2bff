//! Exchanging channels changes no network, and alignment undoes it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use approx::assert_relative_eq;
use burn::tensor::Device;
use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use weightsmith::{
    execute::{execute, upload_weights},
    graph::{Architecture, ParameterId, Role, Tensor, Weights},
    onnx::{
        Model,
        safetensors::{Entry, write},
    },
    ops::{Array, Registry, resolve},
    predictor::{bundled, calibrate},
    spaces::{Named, Space},
    weights::distance,
    zoo::{Groups, Zoo, align},
};

use super::{
    beside::shared,
    cli::{json, weightsmith},
};

fn resolved(name: &str, onnx: Vec<u8>) -> Architecture {
    let model = Model::from_bytes(name, onnx.into()).unwrap();
    let mut architecture = Architecture::from_model(&model).unwrap();
    resolve(&mut architecture, &Registry::standard()).unwrap();
    architecture
}

fn named(name: &str) -> Architecture {
    resolved(name, Named::find(name).unwrap().onnx())
}

/// Weights that keep the scale of activations, with nothing left at its default.
fn random_weights(architecture: &Architecture, random: &mut ChaCha8Rng) -> Weights {
    let mut values = |low: f32, high: f32, count: usize| -> Vec<f32> {
        (0..count).map(|_| random.random_range(low..high)).collect()
    };
    let parameters = architecture.parameters.iter();
    parameters
        .map(|parameter| {
            let count = parameter.len().unwrap();
            let bound = (3.0 / parameter.slots[0].fan_in as f32).sqrt();
            match parameter.role() {
                Some(Role::Weight) => values(-bound, bound, count),
                Some(Role::Gain | Role::RunningVariance) => values(0.5, 1.5, count),
                _ => values(-0.2, 0.2, count),
            }
        })
        .collect()
}

fn logits(architecture: &Architecture, weights: &Weights, random: &mut ChaCha8Rng) -> Vec<f32> {
    let shape = architecture.inputs[0].shape.clone().unwrap();
    let data = (0..shape.iter().product()).map(|_| random.random_range(-1.0..1.0)).collect();
    let device = Device::flex();
    let image = Array::upload(&Tensor { shape, data }, &device);
    let weights = upload_weights(architecture, weights, &device);
    execute(architecture, &Registry::standard(), &weights, &[image], &device).unwrap()[0].download()
}

/// The largest difference, relative to the largest number.
fn gap(a: &[f32], b: &[f32]) -> f32 {
    let scale = b.iter().fold(1e-6f32, |scale, value| scale.max(value.abs()));
    a.iter().zip(b).fold(0f32, |gap, (a, b)| gap.max((a - b).abs())) / scale
}

fn shuffled(groups: &Groups, random: &mut ChaCha8Rng) -> Vec<Vec<usize>> {
    let mut permutations = groups.identity();
    permutations.iter_mut().for_each(|permutation| permutation.shuffle(random));
    permutations
}

/// Share of channels that one permutation after the other leaves where they were.
fn recovered(first: &[Vec<usize>], second: &[Vec<usize>]) -> f64 {
    let pairs = first.iter().zip(second).flat_map(|(first, second)| {
        second.iter().enumerate().map(|(channel, &moved)| first[moved] == channel)
    });
    let home: Vec<bool> = pairs.collect();
    home.iter().filter(|&&home| home).count() as f64 / home.len().max(1) as f64
}

/// Shuffles a network's channels and puts them in order again. Returns the number of groups.
fn there_and_back(name: &str, architecture: &Architecture, seed: u64) -> usize {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let weights = random_weights(architecture, &mut random);
    let groups = Groups::of(architecture, &Registry::standard());
    let permutations = shuffled(&groups, &mut random);
    let moved = groups.permute(&weights, &permutations).unwrap();
    let says = |weights| logits(architecture, weights, &mut ChaCha8Rng::seed_from_u64(seed));
    let (before, after) = (says(&weights), says(&moved));
    let off = gap(&after, &before);
    let aligned = align(architecture, &Registry::standard(), &moved, &weights).unwrap();
    let home = recovered(&permutations, &aligned.permutations);
    println!(
        "{name}: {} groups of {} channels, logits {off:.1e} off, {:.1} % recovered, distance {:.3} to {:.1e}",
        groups.sizes().len(),
        groups.sizes().iter().sum::<usize>(),
        100.0 * home,
        aligned.before,
        aligned.after
    );
    assert!(off < 1e-5, "{name}: logits are {off} off");
    assert!(home >= 0.95, "{name}: {home}");
    assert!(aligned.after < 1e-4 || home < 1.0, "{name}: {}", aligned.after);
    groups.sizes().len()
}

#[test]
fn shuffled_networks_say_the_same_and_are_recovered() {
    // Plain with a flattened image, residual, dense, depthwise, tokens, and what is partly frozen.
    let least = [
        ("lenet-5", 4),
        ("resnet-20", 12),
        ("densenet-40", 30),
        ("squeezenet-1.1", 17),
        ("mobilenet-v2", 20),
        ("nas-bench-201-best", 3),
        ("mixer-tiny", 2),
        ("vit-tiny", 2),
        ("shufflenet-v2", 1),
        ("convnext-atto", 4),
    ];
    for (name, least) in least {
        let groups = there_and_back(name, &named(name), 1);
        assert!(groups >= least, "{name}: {groups} groups");
    }
    let space = Space::load("corpus").unwrap();
    for seed in 0..12 {
        let sampled = space.sample(seed).unwrap();
        there_and_back(&sampled.name, &resolved(&sampled.name, sampled.onnx.to_vec()), seed);
    }
}

#[test]
fn a_depthwise_residual_and_a_concatenated_network_move_where_they_may() {
    let groups = |name: &str| Groups::of(&named(name), &Registry::standard());
    // One stream of 16, 32 and 64 channels each, and the inside of nine blocks.
    let residual = groups("resnet-20");
    assert_eq!(residual.sizes().iter().sum::<usize>(), (16 + 32 + 64) + 3 * (16 + 32 + 64));
    // In a dense network each of the 36 layers is for itself, however often it is read.
    let dense = groups("densenet-40");
    assert_eq!(dense.sizes().iter().filter(|&&size| size == 12).count(), 36);
    // A depthwise convolution's channels are those of the layer before it.
    let depthwise = named("mobilenet-v2");
    let moves = Groups::of(&depthwise, &Registry::standard());
    let (index, _) = depthwise
        .parameters
        .iter()
        .enumerate()
        .find(|(_, parameter)| {
            parameter.slots[0].groups > 1 && parameter.role() == Some(Role::Weight)
        })
        .unwrap();
    assert_eq!(moves.moving(ParameterId(index)).len(), 1);
    let lenet = named("lenet-5");
    let flattened = Groups::of(&lenet, &Registry::standard());
    let parts = (0..lenet.parameters.len())
        .flat_map(|index| flattened.moving(ParameterId(index)).to_vec())
        .flat_map(|moving| moving.places)
        .flatten()
        .map(|place| place.part)
        .max();
    assert_eq!(parts, Some(24), "a channel of LeNet-5's last map has 5 · 5 pixels");
}

#[test]
fn what_is_no_permutation_is_refused() {
    let architecture = named("lenet-5");
    let groups = Groups::of(&architecture, &Registry::standard());
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let weights = random_weights(&architecture, &mut random);
    let mut twice = groups.identity();
    twice[0][0] = twice[0][1];
    let problem = groups.permute(&weights, &twice).unwrap_err().to_string();
    assert!(problem.contains("permutations of"), "{problem}");
    let mut broken = weights.clone();
    broken.get_mut(ParameterId(0)).unwrap()[0] = f32::NAN;
    let problem =
        align(&architecture, &Registry::standard(), &broken, &weights).unwrap_err().to_string();
    assert!(problem.contains("not finite"), "{problem}");
    let problem = groups.permute(&Weights::absent(1), &groups.identity()).unwrap_err().to_string();
    assert!(problem.contains("parameters"), "{problem}");
}

/// Networks that others trained, whose graphs the predictor can write.
const TRAINED: [&str; 2] = ["resnet_2b", "cifar_base_kw"];

fn trained(folder: &Path, name: &str) -> (PathBuf, Architecture, Weights) {
    let path = folder.join(format!("{name}.onnx"));
    let model = Model::open(&path).unwrap();
    let mut architecture = Architecture::from_model(&model).unwrap();
    resolve(&mut architecture, &Registry::standard()).unwrap();
    let value = |index| architecture.value_in(&model, ParameterId(index)).unwrap().unwrap().data;
    let weights = (0..architecture.parameters.len()).map(value).collect();
    (path, architecture, weights)
}

#[test]
fn trained_networks_come_into_the_gauge() {
    let Some(folder) = shared("onnx") else { return };
    let predictor = bundled("cifar10", &Device::flex()).unwrap();
    for name in TRAINED {
        let (_, architecture, weights) = trained(&folder, name);
        let mut gauge = predictor.predict(&architecture, &Registry::standard(), |_| false).unwrap();
        let images = predictor.calibration_images();
        calibrate(&architecture, &Registry::standard(), &mut gauge, &images).unwrap();
        let aligned =
            align(&architecture, &Registry::standard(), &weights, &gauge.weights).unwrap();
        println!(
            "{name}: groups of {:?} channels, distance {:.4} to {:.4}",
            Groups::of(&architecture, &Registry::standard()).sizes(),
            aligned.before,
            aligned.after
        );
        assert!(aligned.after < aligned.before);
        let says = |weights| logits(&architecture, weights, &mut ChaCha8Rng::seed_from_u64(0));
        let off = gap(&says(&aligned.weights), &says(&weights));
        assert!(off < 1e-4, "{name}: logits are {off} off");
    }
}

fn zoo_import(file: &Path, graph: &Path, zoo: &Path) -> Value {
    let [file, graph, zoo] = [file, graph, zoo].map(|path| path.display().to_string());
    let arguments = ["zoo", "import", "--json", "--licence", "MIT", "--graph"];
    let output = weightsmith(&[&arguments[..], &[&graph, "--zoo", &zoo, &file]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    json(&output)
}

#[test]
fn a_network_is_imported_alike_from_both_of_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let graph = at("vit-tiny.onnx");
    fs::write(&graph, Named::find("vit-tiny").unwrap().onnx()).unwrap();
    let [model, out] = [&graph, &at("out")].map(|path| path.display().to_string());
    let output = weightsmith(&["predict", &model, "--out", &out, "--device", "flex"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // The graph keeps its matrices [in, out], PyTorch [out, in].
    let import =
        |file: &str| zoo_import(&at("out").join(file), &graph, &at(&format!("zoo of {file}")));
    let [onnx, torch] = ["vit-tiny.onnx", "vit-tiny.safetensors"].map(import);
    assert_eq!(onnx["tensors"], torch["tensors"]);
    // They are what the predictor writes, so that nothing has to move.
    assert_eq!(onnx["distance"], 0.0);
}

#[test]
fn a_shuffled_checkpoint_is_imported_as_what_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut cases = Vec::new();
    let graph = at("lenet-5.onnx");
    fs::write(&graph, Named::find("lenet-5").unwrap().onnx()).unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let lenet = named("lenet-5");
    let weights = random_weights(&lenet, &mut random);
    cases.push((graph, lenet, weights));
    if let Some(shared) = shared("onnx") {
        cases.extend(TRAINED.map(|name| trained(&shared, name)));
    }
    for (graph, architecture, weights) in cases {
        let store = |name: &str, weights: &Weights| {
            let entries: Vec<Entry> = weights
                .tensors()
                .map(|(id, values)| {
                    let parameter = &architecture.parameters[id.0];
                    let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                    let shape = parameter.shape.clone().unwrap();
                    Entry::new(parameter.name.clone(), safetensors::Dtype::F32, shape, bytes)
                })
                .collect();
            let mut bytes = Vec::new();
            write(&mut bytes, &entries).unwrap();
            fs::write(at(name), bytes).unwrap();
            at(name)
        };
        let zoo = at("zoo");
        let first = zoo_import(&store("as-it-is.safetensors", &weights), &graph, &zoo);
        let groups = Groups::of(&architecture, &Registry::standard());
        let moved = groups.permute(&weights, &shuffled(&groups, &mut random)).unwrap();
        let second = zoo_import(&store("shuffled.safetensors", &moved), &graph, &zoo);
        println!("{}: {} and {}", graph.display(), first["distance"], second["distance"]);

        let zoo = Zoo::open(&zoo).unwrap();
        let records = zoo.of_graph(architecture.fingerprint());
        let stored = |import: &Value| {
            let record = records.iter().find(|record| record.tensors == import["tensors"]).unwrap();
            let distance = import["distance"].as_f64().unwrap();
            assert_relative_eq!(record.alignment.unwrap(), distance, max_relative = 1e-12);
            assert_eq!(record.licence, "MIT");
            zoo.weights(record, &architecture).unwrap()
        };
        let (first, second) = (stored(&first), stored(&second));
        let same = align(&architecture, &Registry::standard(), &second, &first).unwrap();
        let home = recovered(&groups.identity(), &same.permutations);
        println!(
            "{:.1} % of channels as before, {:.1e} off",
            100.0 * home,
            distance(&architecture, &second, &first)
        );
        assert!(home >= 0.95, "{home}");
    }
}
