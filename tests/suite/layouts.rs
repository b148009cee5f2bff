//! Layouts, branches and batch sizes as exporters write them, against the graphs that predictors know.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use approx::assert_relative_eq;
use onnx_protobuf::{
    AttributeProto, GraphProto, NodeProto, TensorProto, attribute_proto::AttributeType,
};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use weightsmith::{
    encoder::data_nodes,
    execute::{Images, NormStatistics, Runner, Scratch},
    graph::{Architecture, ParameterId, Role, Weights},
    onnx::Model,
    ops::{Registry, resolve, resolve_with_input},
    spaces::{Family, SampledGraph, Space},
};

use crate::{
    beside,
    operators::model::{floats, ints, model, node, value, with},
};

const BATCH: usize = 4;

fn open_file(path: &Path) -> Architecture {
    Architecture::from_model(&Model::open(path).unwrap()).unwrap()
}

fn resolved(mut architecture: Architecture) -> Architecture {
    let resolution = resolve(&mut architecture, &Registry::standard()).unwrap();
    assert!(resolution.unsupported.is_empty(), "{:?}", resolution.unsupported);
    architecture
}

/// A graph from `x` to `y` in opset 18.
fn graph(shape: &[usize], nodes: Vec<NodeProto>, initializers: Vec<TensorProto>) -> Vec<u8> {
    let (x, y) = (value("x", Some(shape)), value("y", None));
    model(nodes, initializers, vec![x], vec![y], vec![(String::new(), 18)])
}

fn read(onnx: Vec<u8>) -> (Model, Architecture) {
    let model = Model::from_bytes("graph", onnx.into()).unwrap();
    let architecture = Architecture::from_model(&model).unwrap();
    (model, architecture)
}

fn weights(name: &str, shape: &[usize], seed: u64) -> TensorProto {
    floats(name, shape, &numbers(shape.iter().product(), seed))
}

fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| random.random_range(-0.5..0.5)).collect()
}

fn operators(architecture: &Architecture) -> Vec<&str> {
    architecture.order.iter().map(|&node| architecture.dag[node].op_type.as_str()).collect()
}

/// The weights that a file holds.
fn held(model: &Model, architecture: &Architecture) -> Weights {
    (0..architecture.parameters.len())
        .map(|id| architecture.value_in(model, ParameterId(id)).unwrap().unwrap().data)
        .collect()
}

/// Random weights, reproducible by the names of the parameters.
fn random_weights(architecture: &Architecture) -> Weights {
    let parameter = |(index, parameter): (usize, &weightsmith::graph::Parameter)| {
        let values = numbers(parameter.len().unwrap(), index as u64);
        match parameter.slots.first().map(|slot| (slot.role, slot.fan_in)) {
            Some((Role::RunningVariance | Role::Gain, _)) => {
                values.iter().map(|value| 1.0 + value).collect()
            }
            Some((Role::Weight, fan_in)) => {
                let scale = (12.0 / fan_in as f32).sqrt();
                values.iter().map(|value| scale * value).collect()
            }
            _ => values,
        }
    };
    architecture.parameters.iter().enumerate().map(parameter).collect()
}

fn run(architecture: &Architecture, weights: &Weights, images: &[f32], kernels: bool) -> Vec<f32> {
    let shape = architecture.inputs[0].shape.as_deref().unwrap();
    let &[batch, channels, height, width] = shape else { panic!("{shape:?}") };
    let registry = Arc::new(Registry::standard());
    let runner = match kernels {
        true => Runner::new(architecture, &registry),
        false => Runner::without_kernels(architecture, &registry),
    };
    let view = Images { batch, channels, height, width, data: images };
    let statistics = NormStatistics::Running;
    runner.logits(weights, view, &statistics, &mut Scratch::default()).unwrap()
}

/// Runs a network image by image and as a batch, by kernels and by the reference.
fn runs_as_a_batch(name: &str, architecture: &Architecture) {
    let weights = random_weights(architecture);
    let shape = architecture.inputs[0].shape.clone().unwrap();
    let length: usize = shape.iter().product();
    let images = numbers(BATCH * length, 7);
    let single: Vec<f32> =
        images.chunks(length).flat_map(|it| run(architecture, &weights, it, false)).collect();
    let mut batched = architecture.clone();
    let shape = [&[BATCH * shape[0]], &shape[1..]].concat();
    let resolution = resolve_with_input(&mut batched, &shape, &Registry::standard())
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(resolution.unsupported.is_empty(), "{name}: {:?}", resolution.unsupported);
    let size = single.iter().map(|value| value.abs()).fold(1.0, f32::max);
    for kernels in [false, true] {
        let together = run(&batched, &weights, &images, kernels);
        assert_eq!(single.len(), together.len(), "{name}");
        for (one, other) in single.iter().zip(&together) {
            assert_relative_eq!(one / size, other / size, epsilon = 1e-4);
        }
    }
}

#[test]
fn exports_run_as_a_batch() {
    let mut files = beside::onnx_files(&[beside::repository("tests/fixtures/exports")]);
    let shared = ["k0_advised", "k1_advised", "k1_nofold"]
        .iter()
        .filter_map(|name| beside::shared(&format!("cases/19-fixed-batch-reshape/{name}.onnx")));
    files.extend(shared);
    // Where `WEIGHTSMITH_EXPORTS` names a folder of further networks, a folder each, they run, too.
    if let Some(folder) = std::env::var_os("WEIGHTSMITH_EXPORTS") {
        let networks = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        files.extend(beside::onnx_files(&networks.collect::<Vec<PathBuf>>()));
    }
    for path in files {
        runs_as_a_batch(&path.display().to_string(), &resolved(open_file(&path)));
    }
}

#[test]
fn modern_families_run_as_a_batch() {
    let space = Space::load("modern").unwrap();
    let samples = (0..60).map(|seed| space.sample(seed).unwrap());
    let mut small: BTreeMap<Family, SampledGraph> = BTreeMap::new();
    for graph in samples.filter(|graph| graph.multiply_accumulates < 20_000_000) {
        small.entry(graph.style.family).or_insert(graph);
    }
    assert_eq!(small.len(), space.families.len());
    for graph in small.values() {
        let model = Model::from_bytes(&graph.name, graph.onnx.clone()).unwrap();
        runs_as_a_batch(&graph.name, &resolved(Architecture::from_model(&model).unwrap()));
    }
}

#[test]
fn differences_run_as_a_batch() {
    let nodes = vec![
        node("Conv", &["x", "kernel"], "a"),
        node("Relu", &["a"], "b"),
        node("Sub", &["a", "b"], "c"),
        node("GlobalAveragePool", &["c"], "mean"),
        node("Sub", &["c", "mean"], "d"),
        node("Sub", &["mean", "d"], "e"),
        node("Flatten", &["e"], "y"),
    ];
    let tensors = vec![weights("kernel", &[4, 3, 1, 1], 1)];
    let differences = resolved(read(graph(&[1, 3, 6, 5], nodes, tensors)).1);
    assert!(Runner::new(&differences, &Registry::standard()).is_lowered());
    runs_as_a_batch("differences", &differences);
}

/// The same network twice, written with channels last and with channels first.
struct Pair {
    nodes: [Vec<NodeProto>; 2],
    tensors: [Vec<TensorProto>; 2],
    /// Height, width and channels so far.
    shape: [usize; 3],
    random: ChaCha8Rng,
    count: usize,
}

/// The image so far, by its name in either graph.
const NAMES: [&str; 2] = ["last", "first"];

impl Pair {
    fn new(seed: u64) -> Self {
        let shape = [6, 5, 3];
        let random = ChaCha8Rng::seed_from_u64(seed);
        Self { nodes: Default::default(), tensors: Default::default(), shape, random, count: 0 }
    }

    fn name(&mut self, prefix: &str) -> String {
        self.count += 1;
        format!("{prefix}{}", self.count)
    }

    /// A node in both graphs; `last` and `first` tell them apart.
    fn both(&mut self, make: impl Fn(usize) -> NodeProto) {
        for (side, nodes) in self.nodes.iter_mut().enumerate() {
            nodes.push(make(side));
        }
    }

    fn tensor(&mut self, shapes: [&[usize]; 2]) -> String {
        let name = self.name("w");
        let values = numbers(shapes[0].iter().product(), self.count as u64);
        for (tensors, shape) in self.tensors.iter_mut().zip(shapes) {
            tensors.push(floats(&name, shape, &values));
        }
        name
    }

    fn integers(&mut self, values: [&[i64]; 2]) -> String {
        let name = self.name("n");
        for (tensors, values) in self.tensors.iter_mut().zip(values) {
            tensors.push(ints(&name, &[values.len()], values));
        }
        name
    }

    fn convolve(&mut self, x: &str, channels: usize) -> String {
        let kernel = self.tensor([&[channels, self.shape[2], 1, 1]; 2]);
        let (into, out, y) = (self.name("t"), self.name("c"), self.name("y"));
        let conv = |data: &str, out: &str| node("Conv", &[data, &kernel], out);
        let turned = |data: &str, out: &str, order: [i64; 4]| {
            with(node("Transpose", &[data], out), "perm", order)
        };
        self.nodes[0].push(turned(x, &into, [0, 3, 1, 2]));
        self.nodes[0].push(conv(&into, &out));
        self.nodes[0].push(turned(&out, &y, [0, 2, 3, 1]));
        self.nodes[1].push(conv(x, &y));
        self.shape[2] = channels;
        y
    }

    /// One further operator or several.
    fn grow(&mut self, x: &str) -> String {
        let [height, width, channels] = self.shape;
        let y = self.name("y");
        match self.random.random_range(0..9) {
            0 => {
                let more = self.random.random_range(2..5);
                return self.convolve(x, more);
            }
            1 => self.both(|_| node("Relu", &[x], &y)),
            2 => {
                let vector = self.tensor([&[channels], &[channels, 1, 1]]);
                self.both(|_| node("Add", &[x, &vector], &y));
            }
            3 => {
                let vector = self.tensor([&[1, 1, 1, channels], &[1, channels, 1, 1]]);
                self.both(|_| node("Mul", &[&vector, x], &y));
            }
            4 => {
                let pads = self.integers([&[0, 1, 0, 0, 0, 0, 2, 0], &[0, 0, 1, 0, 0, 0, 0, 2]]);
                self.both(|_| node("Pad", &[x, &pads], &y));
                self.shape = [height + 1, width + 2, channels];
            }
            5 => {
                let other = self.convolve(x, channels);
                self.both(|_| node("Add", &[x, &other], &y));
            }
            6 => {
                let other = self.convolve(x, 2);
                let axis = |side| [-1, 1][side];
                self.both(|side| with(node("Concat", &[x, &other], &y), "axis", axis(side)));
                self.shape[2] = channels + 2;
            }
            7 => {
                let (mean, gate) = (self.name("m"), self.name("g"));
                let axes = self.integers([&[1, 2], &[2, 3]]);
                self.both(|_| node("ReduceMean", &[x, &axes], &mean));
                self.both(|_| node("Sigmoid", &[&mean], &gate));
                self.both(|_| node("Mul", &[x, &gate], &y));
            }
            _ => {
                let axis = |side| [3, 1][side];
                self.both(|side| with(node("Softmax", &[x], &y), "axis", axis(side)));
            }
        }
        y
    }

    /// Both files, which end in a linear map of the mean or of everything.
    fn finish(mut self, x: &str, flat: bool) -> [Vec<u8>; 2] {
        let [height, width, channels] = self.shape;
        let features = self.name("f");
        let size = if flat { height * width * channels } else { channels };
        if flat {
            self.both(|_| node("Flatten", &[x], &features));
        } else {
            let axes = self.integers([&[1, 2], &[2, 3]]);
            let mean = |_| with(node("ReduceMean", &[x, &axes], &features), "keepdims", 0);
            self.both(mean);
        }
        let matrix = self.name("w");
        let values = numbers(size * 7, 99);
        // Rows of the one matrix are sorted otherwise.
        let place = |row: usize| match flat {
            true => {
                let (channel, pixel) = (row / (height * width), row % (height * width));
                pixel * channels + channel
            }
            false => row,
        };
        let sorted: Vec<f32> =
            (0..size).flat_map(|row| values[place(row) * 7..][..7].to_vec()).collect();
        for (tensors, values) in self.tensors.iter_mut().zip([&values, &sorted]) {
            tensors.push(floats(&matrix, &[size, 7], values));
        }
        self.both(|_| node("MatMul", &[&features, &matrix], "y"));
        let [last, first] = self.nodes;
        let [last_tensors, first_tensors] = self.tensors;
        let onnx = |shape: &[usize], name, nodes, tensors| {
            let (x, y) = (value(name, Some(shape)), value("y", None));
            model(nodes, tensors, vec![x], vec![y], vec![(String::new(), 18)])
        };
        [
            onnx(&[1, 6, 5, 3], NAMES[0], last, last_tensors),
            onnx(&[1, 3, 6, 5], NAMES[1], first, first_tensors),
        ]
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn channels_last_is_the_same_network(seed in any::<u64>(), length in 1usize..8, flat: bool) {
        let mut pair = Pair::new(seed);
        let start = pair.name("x");
        pair.nodes = NAMES.map(|name| vec![node("Identity", &[name], &start)]);
        let mut x = pair.convolve(&start, 3);
        for _ in 0..length {
            x = pair.grow(&x);
        }
        let [last, first] = pair.finish(&x, flat);
        let [(last_model, last), (first_model, first)] = [last, first].map(read);
        let (last, first) = (resolved(last), resolved(first));
        // Matrices may be transposed, images are not.
        let transposes = data_nodes(&last).into_iter();
        let transposes = transposes.filter(|&node| last.dag[node].op_type == "Transpose");
        prop_assert_eq!(transposes.count(), 0);
        prop_assert_eq!(last.inputs[0].shape.as_deref(), Some(&[1, 3, 6, 5][..]));
        let images = numbers(90, seed);
        let logits = run(&last, &held(&last_model, &last), &images, false);
        let expected = run(&first, &held(&first_model, &first), &images, false);
        prop_assert_eq!(logits.len(), expected.len());
        for (one, other) in logits.iter().zip(&expected) {
            prop_assert!((one - other).abs() <= 1e-4 * other.abs().max(1.0), "{one} {other}");
        }
    }

    #[test]
    fn networks_of_the_spaces_are_canonical(seed in any::<u64>()) {
        for space in ["corpus", "tiny"].map(|name| Space::load(name).unwrap()) {
            is_canonical(&space.sample(seed).unwrap().onnx);
        }
    }
}

/// What the nodes of a graph are, and the integers that they read.
fn spelled(architecture: &Architecture) -> Vec<String> {
    let node = |&index: &weightsmith::graph::NodeIndex| {
        let node = &architecture.dag[index];
        let given: Vec<_> = node
            .inputs
            .iter()
            .map(|operand| match operand {
                weightsmith::graph::Operand::Constant(index) => {
                    architecture.constants[*index].1.ints().map(<[i64]>::to_vec)
                }
                _ => None,
            })
            .collect();
        format!("{} {:?} {given:?}", node.op_type, node.attributes)
    };
    let mut nodes: Vec<String> = architecture.order.iter().map(node).collect();
    nodes.sort_unstable();
    nodes
}

fn is_canonical(onnx: &[u8]) {
    let (_, architecture) = read(onnx.to_vec());
    let before = spelled(&architecture);
    // Bounds become attributes, halves of an image one `Split`.
    if before.iter().any(|node| node.starts_with("Clip") || node.starts_with("Slice")) {
        return;
    }
    assert_eq!(before, spelled(&resolved(architecture)));
}

#[test]
fn named_networks_are_canonical() {
    for path in beside::onnx_files(&[beside::repository("architectures/named")]) {
        is_canonical(&std::fs::read(path).unwrap());
    }
}

#[test]
fn images_of_keras_come_with_channels_first() {
    for (name, channels) in [("keras", 3), ("keras_gray", 1)] {
        let Some(path) = beside::shared(&format!("cases/09-keras-nhwc/{name}.onnx")) else {
            return;
        };
        let architecture = resolved(open_file(&path));
        assert_eq!(architecture.inputs[0].shape, Some(vec![1, channels, 32, 32]));
        assert!(!operators(&architecture).contains(&"Transpose"));
        assert!(architecture.notices.iter().any(|notice| notice.contains("channels last")));
        runs_as_a_batch(name, &architecture);
    }
}

#[test]
fn kernels_in_other_layouts_are_written_back_in_them() {
    let stored = weights("w", &[3, 3, 2, 4], 5);
    let turned = graph(
        &[1, 2, 6, 6],
        vec![
            with(node("Transpose", &["w"], "kernel"), "perm", [3, 2, 0, 1]),
            node("Conv", &["x", "kernel"], "y"),
        ],
        vec![stored],
    );
    let (model, architecture) = read(turned);
    let architecture = resolved(architecture);
    assert_eq!(operators(&architecture), ["Conv"]);
    let parameter = &architecture.parameters[0];
    assert_eq!(
        (parameter.role(), parameter.shape.clone()),
        (Some(Role::Weight), Some(vec![4, 2, 3, 3]))
    );
    let values = held(&model, &architecture);
    let own = numbers(72, 5);
    let kernel = values.get(ParameterId(0)).unwrap();
    // Of output 1, input 1, row 2 and column 0.
    assert_relative_eq!(kernel[((2 + 1) * 3 + 2) * 3], own[((2 * 3) * 2 + 1) * 4 + 1]);
    let (storage, _) = architecture.storage_of(ParameterId(0)).unwrap();
    assert_eq!(storage.map.tensor(0, &[kernel]), own);
}

fn branch(
    name: &str,
    nodes: Vec<NodeProto>,
    output: &str,
    tensors: Vec<TensorProto>,
) -> AttributeProto {
    let graph = GraphProto {
        name: name.into(),
        node: nodes,
        output: vec![value(output, None)],
        initializer: tensors,
        ..GraphProto::default()
    };
    let mut attribute = AttributeProto { name: name.into(), ..AttributeProto::default() };
    attribute.type_ = AttributeType::GRAPH.into();
    attribute.g = Some(graph).into();
    attribute
}

/// The mean of each channel; if there is one, it is squeezed and halved, or else negated and copied.
fn with_branches(condition: Vec<NodeProto>, extra: Vec<TensorProto>) -> Architecture {
    let squeezed = vec![node("Squeeze", &["p", "axes"], "b"), node("Mul", &["b", "half"], "q")];
    let inner = {
        let mut inner = node("If", &["yes"], "q");
        let copy = vec![node("Identity", &["b"], "c")];
        inner.attribute.push(branch("then_branch", copy.clone(), "c", vec![]));
        inner.attribute.push(branch("else_branch", copy, "c", vec![]));
        inner
    };
    let negated = vec![node("Neg", &["p"], "b"), inner];
    let mut choice = node("If", &["condition"], "y");
    choice.attribute.push(branch("then_branch", squeezed, "q", vec![floats("half", &[], &[0.5])]));
    choice.attribute.push(branch("else_branch", negated, "q", vec![]));
    let mut nodes = vec![with(node("AveragePool", &["x"], "p"), "kernel_shape", [4, 4])];
    nodes.extend(condition);
    nodes.push(choice);
    let mut tensors = vec![ints("axes", &[2], &[2, 3]), ints("yes", &[], &[1])];
    tensors.extend(extra);
    let (_, mut architecture) = read(graph(&[1, 2, 4, 4], nodes, tensors));
    let _ = resolve(&mut architecture, &Registry::standard()).unwrap();
    architecture
}

#[test]
fn the_branch_is_taken_that_shapes_decide_on() {
    let extent = |wanted: i64| {
        let nodes = vec![
            node("Shape", &["p"], "shape"),
            node("Gather", &["shape", "two"], "extent"),
            node("Equal", &["extent", "wanted"], "condition"),
        ];
        with_branches(nodes, vec![ints("two", &[], &[2]), ints("wanted", &[], &[wanted])])
    };
    assert_eq!(operators(&extent(1)), ["AveragePool", "Flatten", "Mul"]);
    // The branch that is not taken could not be computed.
    assert_eq!(operators(&extent(2)), ["AveragePool", "Neg"]);
    let open = with_branches(
        vec![
            node("ReduceMax", &["x"], "highest"),
            node("Greater", &["highest", "none"], "condition"),
        ],
        vec![floats("none", &[], &[0.0])],
    );
    assert!(operators(&open).contains(&"If"));
    if let Some(path) = beside::shared("cases/13-if-node/static_if.onnx") {
        let architecture = resolved(open_file(&path));
        assert!(!operators(&architecture).contains(&"If"));
        runs_as_a_batch("static_if", &architecture);
    }
}
