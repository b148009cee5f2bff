//! One PyTorch module in the spellings of several exporters: every form computes what PyTorch does, and the
//! canonical graphs of the forms are one.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use burn::tensor::Device;
use safetensors::SafeTensors;
use weightsmith::{
    execute::execute,
    graph::{Architecture, NodeIndex, ParameterId, Tensor},
    onnx::Model,
    ops::{Array, Registry, resolve, resolve_with_input},
    spaces::{NAMED, Space},
};

use crate::beside;

/// Modules whose forms are not one graph yet.
const APART: [&str; 5] = ["conv_bn", "conv_bn_touched", "lstm", "rms_norm", "twice"];

/// Files of each module of the fixtures.
fn forms() -> BTreeMap<String, Vec<PathBuf>> {
    let mut forms: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for path in beside::onnx_files(&[beside::repository("tests/fixtures/spellings")]) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        forms.entry(name.split('.').next().unwrap().to_owned()).or_default().push(path);
    }
    forms
}

/// The canonical graph of a file.
pub fn canonical(model: &Model) -> Architecture {
    let mut architecture = Architecture::from_model(model).unwrap();
    let resolution = resolve(&mut architecture, &Registry::standard()).unwrap();
    assert!(resolution.unsupported.is_empty(), "{}: {:?}", model.name(), resolution.unsupported);
    assert!(!architecture.canonicalise(), "{}: rewrites undo each other", model.name());
    architecture
}

/// Types of operators, in order.
pub fn operators(architecture: &Architecture) -> Vec<String> {
    architecture.order.iter().map(|&index| architecture.dag[index].op_type.clone()).collect()
}

/// Operators in order, with the shapes of their results.
fn listing(architecture: &Architecture) -> String {
    let line = |index: &NodeIndex| {
        let node = &architecture.dag[*index];
        let shape = node.outputs[0].shape.as_deref().unwrap_or_default();
        format!("{} {shape:?} {:?}\n", node.op_type, node.attributes.0)
    };
    architecture.order.iter().map(line).collect()
}

/// What a network computes for one image with the weights of its file.
pub fn run(architecture: &Architecture, model: &Model, image: Tensor) -> Option<Vec<f32>> {
    let device = Device::flex();
    let mut weights = Vec::new();
    for index in 0..architecture.parameters.len() {
        let value = architecture.value_in(model, ParameterId(index)).unwrap()?;
        weights.push(Some(Array::upload(&value, &device)));
    }
    let inputs = [Array::upload(&image, &device)];
    let outputs = execute(architecture, &Registry::standard(), &weights, &inputs, &device);
    Some(outputs.unwrap_or_else(|error| panic!("{}: {error}", model.name()))[0].download())
}

/// The images of a module and what PyTorch makes of them, one by one.
fn expected(module: &str) -> Vec<(Tensor, Vec<f32>)> {
    let folder = beside::repository("tests/fixtures/spellings");
    let bytes = std::fs::read(folder.join(format!("{module}.safetensors"))).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let floats = |name: &str| -> Vec<f32> {
        let bytes = tensors.tensor(name).unwrap().data().chunks_exact(4);
        bytes.map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
    };
    let (images, outputs) = (floats("input"), floats("output"));
    let images = images.chunks_exact(images.len() / 2);
    let images = images.map(|it| Tensor { shape: vec![1, 3, 8, 8], data: it.to_vec() });
    images.zip(outputs.chunks_exact(outputs.len() / 2).map(<[f32]>::to_vec)).collect()
}

#[test]
fn every_form_computes_what_pytorch_does() {
    for (module, forms) in forms() {
        for path in forms {
            let model = Model::open(&path).unwrap();
            let architecture = canonical(&model);
            for (image, output) in expected(&module) {
                // Files without weights have nothing to compute with.
                let Some(own) = run(&architecture, &model, image) else { break };
                let distance = own.iter().zip(&output).map(|(a, b)| (a - b).abs());
                let distance = distance.fold(0.0, f32::max);
                assert!(distance < 1e-4, "{}: {own:?} for {output:?}", path.display());
            }
        }
    }
}

#[test]
fn the_forms_of_a_module_are_one_graph() {
    let mut apart = BTreeSet::new();
    for (module, forms) in forms() {
        let graphs: Vec<(PathBuf, Architecture)> = forms
            .into_iter()
            .map(|path| {
                let architecture = canonical(&Model::open(&path).unwrap());
                (path, architecture)
            })
            .collect();
        let (first, reference) = &graphs[0];
        for (path, graph) in &graphs[1..] {
            let same = graph.fingerprint() == reference.fingerprint();
            if !same {
                apart.insert(module.clone());
            }
            let names = [first, path].map(|path| path.file_name().unwrap().to_owned());
            assert!(
                same || APART.contains(&&*module),
                "{names:?} differ:\n{}\n{}",
                listing(reference),
                listing(graph)
            );
        }
    }
    assert!(apart.iter().eq(APART), "one graph by now: all of {APART:?} but {apart:?}");
}

/// Nothing to change, but for what exporters write like us: a `Clip` gets its bounds as attributes, the
/// `Slice`s that halve an image become a `Split`.
fn assert_canonical(name: &str, onnx: &[u8]) {
    let model = Model::from_bytes(name, onnx.to_vec().into()).unwrap();
    let mut plain = Architecture::from_model(&model).unwrap();
    let shape = plain.inputs[0].shape.clone().unwrap();
    resolve_with_input(&mut plain, &shape, &Registry::standard()).unwrap();
    let canonical = canonical(&model);
    if operators(&plain).iter().any(|op_type| op_type == "Clip" || op_type == "Slice") {
        return;
    }
    let sorted = |architecture| {
        let mut operators = operators(architecture);
        operators.sort_unstable();
        operators
    };
    assert_eq!(sorted(&plain), sorted(&canonical), "{name}");
    assert!(
        plain.fingerprint() == canonical.fingerprint(),
        "{name}:\n{}\n{}",
        listing(&plain),
        listing(&canonical)
    );
}

#[test]
fn graphs_of_the_spaces_are_canonical() {
    for named in NAMED {
        assert_canonical(named.name, &named.onnx());
    }
    let space = Space::load("corpus").unwrap();
    for seed in 0..200 {
        let sample = space.sample(seed).unwrap();
        assert_canonical(&format!("corpus {seed}"), &sample.onnx);
    }
}
