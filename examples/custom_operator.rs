//! An operator of one's own, in one file: `cargo run --release --example custom_operator`.
//!
//! `com.example::ScaledTanhConv` computes scale · tanh(x ∗ weight), a convolution over a window of
//! odd size that keeps the image's extent, strides of one, one scale per output channel. The bundled
//! predictor has not met it and takes it for the mean of the convolutions that it knows; what it writes is
//! then moved towards labelled drawings of stripes in ten directions, and evaluated on others. A
//! predictor that is trained on graphs with the operator needs no such guess, and ranks them.

mod stripes;

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use burn::tensor::{Device, Tensor, module, ops::ConvOptions};
use onnx_protobuf::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorShapeProto, TypeProto,
    ValueInfoProto, tensor_shape_proto::Dimension, type_proto,
};
use protobuf::{Message, MessageField};
use weightsmith::{
    condition::Steering,
    data::{Augmentation, Batcher, Dataset, Split},
    evaluate::judge,
    fill::{FillOptions, Filled, Network, OpenOptions, SupportSet, fill},
    graph::{Fact, Layout, Node, Role},
    observer::Silent,
    onnx::Model,
    ops::{Array, Features, OpError, Operator, OperatorFamily, Registry, SlotRule},
    predictor::{CalibrationImages, Predictor, ValueSource, bundled},
    rank::{Judge, Probe, scores},
    train::{RunOptions, TrainConfig, train},
};

const DOMAIN: &str = "com.example";
const SIDE: usize = 16;

/// x `[N, C, H, W]`, weight `[O, C, k, k]` with an odd k, scale `[O]`; output `[N, O, H, W]`.
struct ScaledTanhConv;

impl ScaledTanhConv {
    /// The shape of an input of a fixed rank; `None` where it is not known yet.
    fn shape<const D: usize>(
        inputs: &[Option<Fact>],
        input: usize,
    ) -> Result<Option<[usize; D]>, OpError> {
        let wrong = |problem| OpError::Input { input, problem };
        let fact = inputs.get(input).and_then(Option::as_ref);
        let fact = fact.ok_or_else(|| wrong("is missing".to_owned()))?;
        let Some(shape) = &fact.shape else { return Ok(None) };
        let fixed = shape.as_slice().try_into();
        fixed.map(Some).map_err(|_| wrong(format!("shape {shape:?} is not of rank {D}")))
    }
}

impl Operator for ScaledTanhConv {
    fn op_type(&self) -> &'static str {
        "ScaledTanhConv"
    }

    fn domain(&self) -> &'static str {
        DOMAIN
    }

    fn since(&self) -> &'static [i64] {
        &[1]
    }

    fn family(&self) -> OperatorFamily {
        OperatorFamily::Convolution
    }

    fn infer(&self, node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<Fact>, OpError> {
        let image = Self::shape::<4>(inputs, 0)?;
        let weight = Self::shape::<4>(inputs, 1)?;
        let shape = match (image, weight) {
            (Some([batch, channels, height, width]), Some([outputs, ins, rows, columns])) => {
                if ins != channels || rows != columns || rows % 2 == 0 {
                    let problem = format!("is no odd, square window over {channels} channels");
                    return Err(OpError::Input { input: 1, problem });
                }
                Some(vec![batch, outputs, height, width])
            }
            _ => None,
        };
        let declared = node.outputs.first().cloned().unwrap_or_default();
        Ok(vec![Fact { dtype: inputs[0].as_ref().and_then(|x| x.dtype), shape, ..declared }])
    }

    fn slots(&self, _node: &Node, inputs: &[Option<Fact>]) -> Result<Vec<SlotRule>, OpError> {
        let weight = Self::shape::<4>(inputs, 1)?;
        let fan_in = weight.map(|[_, channels, rows, columns]| channels * rows * columns);
        let rule = |input, role, layout, fan_in, shape| SlotRule {
            input,
            role,
            layout,
            groups: 1,
            fan_in,
            shape,
        };
        let scale = weight.map(|[outputs, ..]| vec![outputs]);
        Ok(vec![
            rule(1, Role::Weight, Layout::OutIn, fan_in, None),
            rule(2, Role::Gain, Layout::Vector, Some(1), scale),
        ])
    }

    fn features(&self, _node: &Node, inputs: &[Option<Fact>]) -> Features {
        let kernel = match Self::shape::<4>(inputs, 1) {
            Ok(Some([_, _, rows, columns])) => [rows, columns],
            _ => [0; 2],
        };
        Features { kernel, stride: [1; 2], dilation: [1; 2], groups: 1 }
    }

    fn execute(
        &self,
        _node: &Node,
        inputs: &[Option<Array>],
        _device: &Device,
    ) -> Result<Vec<Array>, OpError> {
        let input = |input: usize| {
            let missing = OpError::Input { input, problem: "is missing".to_owned() };
            inputs.get(input).and_then(Option::as_ref).ok_or(missing)
        };
        let x: Tensor<4> = input(0)?.rank(0)?;
        let weight: Tensor<4> = input(1)?.rank(1)?;
        let [outputs, _, rows, columns] = weight.dims();
        let scale: Tensor<4> = input(2)?.view(2, [1, outputs, 1, 1])?;
        let options = ConvOptions::new([1, 1], [rows / 2, columns / 2], [1, 1], 1);
        Ok(vec![Array::of(module::conv2d(x, weight, None, options).tanh() * scale)])
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let registry = Arc::new(Registry::with(vec![Box::new(ScaledTanhConv)]));
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("stripes");
    fs::create_dir(&data)?;
    stripes::write(&data)?;

    let network = read(&registry, 12, 5)?;
    let stranger = bundled("cifar10", &Device::flex())?;
    let usual = FillOptions::default();
    let guessed = fill(&network, &stranger, &usual)?;
    print(&guessed);
    let steering = Steering { steps: 24, batch: 64, rate: 0.1, ..Steering::default() };
    let support = Some(SupportSet { data: data.clone(), steering });
    let steered = fill(&network, &stranger, &FillOptions { support, ..usual.clone() })?;
    let test = Dataset::open(&data, Split::Test)?.with_channels(3)?;
    let [before, after] = [&guessed, &steered].map(|filled| {
        let (weights, input) = (filled.networks()[0].weights(), &stranger.config.input);
        judge(&network.architecture, &registry, weights, &test, input, 100)
    });
    println!(
        "cross-entropy {:.3}, moved towards labelled images {:.3}",
        before?.cross_entropy, after?.cross_entropy
    );

    let trained = Predictor::load(&learn(&registry, folder.path(), &data)?, &Device::flex())?;
    let filled = fill(&network, &trained, &usual)?;
    print(&filled);
    assert!(filled.report().stand_ins.is_empty());
    rank(trained, &registry, &test)
}

/// A network of the operator, read with the registry that knows it.
fn read(
    registry: &Arc<Registry>,
    channels: usize,
    window: usize,
) -> Result<Network, Box<dyn Error>> {
    let bytes = model(channels, window).write_to_bytes()?;
    let options = OpenOptions { registry: Arc::clone(registry), ..OpenOptions::default() };
    let network = Network::resolved(Model::from_bytes("custom", bytes.into())?, &options)?;
    assert_eq!(network.unsupported(), [""; 0]);
    Ok(network)
}

/// What was written for every parameter.
fn print(filled: &Filled) {
    let report = filled.report();
    println!("predictor '{}'", report.provenance.predictor);
    for stand_in in &report.stand_ins {
        println!("note: {stand_in}");
    }
    for tensor in &report.tensors {
        assert_eq!(tensor.label, ValueSource::Predicted);
        let deviation = tensor.statistics.map_or(0.0, |statistics| statistics.std);
        println!("{:<13} {:?}, deviation {deviation:.3}", tensor.initializer, tensor.shape);
    }
}

/// Trains a small predictor on a folder of graphs; returns its own folder.
fn learn(registry: &Arc<Registry>, folder: &Path, data: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let graphs = folder.join("graphs");
    fs::create_dir_all(graphs.join("validation"))?;
    let save = |name: &str, channels, window| -> Result<(), Box<dyn Error>> {
        Ok(fs::write(graphs.join(name), model(channels, window).write_to_bytes()?)?)
    };
    for (channels, window) in [(8, 3), (8, 5), (12, 3), (16, 3)] {
        save(&format!("{channels}-{window}.onnx"), channels, window)?;
    }
    save("validation/10-3.onnx", 10, 3)?;
    let recipe = format!(
        "name = \"scaled-tanh\"\nspace = {graphs:?}\ndata = {data:?}\nout = {:?}\nmeta_batch = 4\n\
         batch = 16\naugmentation = \"none\"\n\
         [network]\ntrunk = 32\nhidden = 32\ncalibration = 4\n\
         [network.encoder]\nwidth = 16\nheads = 2\nlayers = 1\n\
         [optimiser]\nlearning_rate = 4e-3\nwarmup = 5\nema = 0.9\n\
         [[stages]]\nsteps = 20\nsize = {SIDE}\nstatistics = \"batch\"\n",
        folder.join("run")
    );
    let config = folder.join("train.toml");
    fs::write(&config, recipe)?;
    let options = RunOptions {
        registry: Arc::clone(registry),
        devices: vec![Device::flex()],
        resume: false,
        command: "the custom_operator example".to_owned(),
        stop: Arc::default(),
        node_encoder: None,
        observer: Arc::new(Silent),
    };
    let outcome = train(&TrainConfig::load(&config)?, &options)?;
    assert!(outcome.finished);
    println!(
        "trained on {} networks in {:.0} s",
        outcome.progress.architecture_steps, outcome.progress.seconds
    );
    Ok(outcome.predictor)
}

/// Scores two graphs, on the weights that the predictor writes for them and without.
fn rank(
    predictor: Predictor,
    registry: &Arc<Registry>,
    data: &Dataset,
) -> Result<(), Box<dyn Error>> {
    let input = &predictor.config.input;
    let batcher = Batcher::new(data, &input.mean, &input.std, SIDE, Augmentation::None)?;
    let (values, labels) = batcher.range(0..16);
    let images = CalibrationImages { shape: [labels.len(), 3, SIDE, SIDE], data: values };
    let probe = Probe {
        sharp_images: images.clone(),
        images,
        labels: Some(labels),
        predictor: Some(predictor),
        seed: 0,
    };
    let mut wanted = scores();
    wanted.retain(|score| ["flops", "snip", "predicted-loss"].contains(&score.name()));
    let judge = Judge { scores: wanted, probe, cache: None, operator_paths: false };
    for (channels, window) in [(8, 3), (16, 5)] {
        let record = judge.judge(&read(registry, channels, window)?.architecture, registry)?;
        assert!(record.missing.is_empty(), "{:?}", record.missing);
        println!("{channels} channels, windows of {window}: {:.3?}", record.scores);
    }
    Ok(())
}

/// Two of the operators, a pooling and a classifier. Weights are listed as inputs without values; of
/// operators that the reader does not know it tells them from images by names such as `.gamma`.
fn model(channels: usize, window: usize) -> ModelProto {
    let node = |op_type: &str, domain: &str, inputs: &[&str], output: &str| NodeProto {
        op_type: op_type.to_owned(),
        domain: domain.to_owned(),
        input: inputs.iter().map(|&input| input.to_owned()).collect(),
        output: vec![output.to_owned()],
        ..NodeProto::new()
    };
    let (channels, window, side) = (channels as i64, window as i64, SIDE as i64);
    let opset = |domain: &str, version| OperatorSetIdProto {
        domain: domain.to_owned(),
        version,
        ..OperatorSetIdProto::new()
    };
    let graph = GraphProto {
        name: "custom".to_owned(),
        node: vec![
            node("ScaledTanhConv", DOMAIN, &["image", "first.weight", "first.gamma"], "a"),
            node("ScaledTanhConv", DOMAIN, &["a", "second.weight", "second.gamma"], "b"),
            node("GlobalAveragePool", "", &["b"], "c"),
            node("Flatten", "", &["c"], "d"),
            node("Gemm", "", &["d", "head.weight", "head.bias"], "logits"),
        ],
        input: vec![
            value("image", &[1, 3, side, side]),
            value("first.weight", &[channels, 3, 3, 3]),
            value("first.gamma", &[channels]),
            value("second.weight", &[channels, channels, window, window]),
            value("second.gamma", &[channels]),
            value("head.weight", &[channels, 10]),
            value("head.bias", &[10]),
        ],
        output: vec![value("logits", &[1, 10])],
        ..GraphProto::new()
    };
    ModelProto {
        ir_version: 8,
        opset_import: vec![opset("", 17), opset(DOMAIN, 1)],
        graph: MessageField::some(graph),
        ..ModelProto::new()
    }
}

/// A named tensor of floats.
fn value(name: &str, shape: &[i64]) -> ValueInfoProto {
    let dimension = |&extent: &i64| {
        let mut dimension = Dimension::new();
        dimension.set_dim_value(extent);
        dimension
    };
    let tensor = type_proto::Tensor {
        elem_type: 1,
        shape: MessageField::some(TensorShapeProto {
            dim: shape.iter().map(dimension).collect(),
            ..TensorShapeProto::new()
        }),
        ..type_proto::Tensor::new()
    };
    let mut kind = TypeProto::new();
    kind.set_tensor_type(tensor);
    ValueInfoProto {
        name: name.to_owned(),
        type_: MessageField::some(kind),
        ..ValueInfoProto::new()
    }
}
