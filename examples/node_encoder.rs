//! Features of one's own for every node, in one file:
//! `cargo run --release --example node_encoder -- --seconds 60`.
//!
//! The graph encoder is told the latency of each node, measured on this machine, beside what it reads
//! from the graph. A small predictor is trained with it for a minute, on drawings of stripes in ten
//! directions, and then asked for the weights of a graph whose nodes are all ten times as slow.

mod stripes;

use std::{
    collections::HashMap,
    error::Error,
    fs,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use burn::tensor::Device;
use weightsmith::{
    encoder::NodeEncoder,
    graph::{Architecture, Fact, NodeIndex, Tensor},
    observer::Silent,
    onnx::Model,
    ops::{Array, Registry, resolve},
    predictor::Predictor,
    spaces::Space,
    train::{RunOptions, TrainConfig, train},
};

/// The latency of a node by itself, on burn's CPU backend, as a logarithm of microseconds.
#[derive(Debug)]
struct Latency {
    /// What latencies are multiplied by.
    factor: f32,
    /// Microseconds by operator and shapes.
    measured: Mutex<HashMap<String, f32>>,
}

impl Latency {
    fn times(factor: f32) -> Self {
        Self { factor, measured: Mutex::default() }
    }

    /// The fastest of three runs; `None` where an input is not known.
    fn measure(architecture: &Architecture, registry: &Registry, index: NodeIndex) -> Option<f32> {
        let device = Device::flex();
        let node = &architecture.dag[index];
        let operator = registry.find(node).ok()?;
        let inputs: Vec<Option<Array>> = node
            .inputs
            .iter()
            .map(|&operand| match architecture.fact(operand) {
                None => Some(None),
                Some(Fact { value: Some(value), .. }) => {
                    Some(Some(Array::constant(&value, &device)))
                }
                Some(Fact { shape, .. }) => {
                    Some(Some(Array::upload(&Tensor::full(shape?, 0.5), &device)))
                }
            })
            .collect::<Option<_>>()?;
        let run = || {
            let start = Instant::now();
            let outputs = operator.execute(node, &inputs, &device).ok()?;
            outputs.first()?.download();
            Some(start.elapsed().as_secs_f32() * 1e6)
        };
        (0..3).map(|_| run()).collect::<Option<Vec<f32>>>()?.into_iter().reduce(f32::min)
    }
}

impl NodeEncoder for Latency {
    fn names(&self) -> Vec<String> {
        vec!["latency".to_owned()]
    }

    fn encode(
        &self,
        architecture: &Architecture,
        registry: &Registry,
        index: NodeIndex,
        features: &mut [f32],
    ) {
        let node = &architecture.dag[index];
        let shapes: Vec<_> = node
            .inputs
            .iter()
            .map(|&operand| architecture.fact(operand).and_then(|fact| fact.shape))
            .collect();
        let key = format!("{} {:?} {shapes:?}", node.op_type, node.attributes);
        let lock = || self.measured.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let known = lock().get(&key).copied();
        let microseconds =
            known.or_else(|| Self::measure(architecture, registry, index)).unwrap_or_default();
        lock().insert(key, microseconds);
        features[0] = (self.factor * microseconds).ln_1p() / 4.0;
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let seconds = match arguments.as_slice() {
        [] => 60.0,
        [name, seconds] if name == "--seconds" => seconds.parse()?,
        _ => return Err("usage: node_encoder [--seconds SECONDS]".into()),
    };
    let folder = tempfile::tempdir()?;
    let config = TrainConfig::load(&recipe(folder.path())?)?;
    let stop = Arc::new(AtomicBool::new(false));
    let options = RunOptions {
        registry: Registry::standard(),
        devices: vec![Device::flex()],
        resume: false,
        command: "the node_encoder example".to_owned(),
        stop: Arc::clone(&stop),
        node_encoder: Some(Arc::new(Latency::times(1.0))),
        observer: Arc::new(Silent),
    };
    thread::spawn(move || {
        thread::sleep(Duration::from_secs_f64(seconds));
        stop.store(true, Ordering::Relaxed);
    });
    let outcome = train(&config, &options)?;
    println!(
        "{} networks in {:.0} s; held-out graphs classify {:.1} % of the stripes, chance is 10 %",
        outcome.progress.architecture_steps,
        outcome.progress.seconds,
        100.0 * outcome.progress.validation_top1.unwrap_or_default()
    );

    let graph = Space::load("tiny")?.sample(0)?;
    let mut architecture = Architecture::from_model(&Model::from_bytes("tiny", graph.onnx)?)?;
    resolve(&mut architecture, &Registry::standard())?;
    let mut predictor = Predictor::load(&outcome.predictor, &Device::flex())?;
    let refusal = predictor.predict(&architecture, &Registry::standard(), |_| false).unwrap_err();
    println!("without the node encoder: {refusal}");
    let mut weights = |latency: Latency| -> Result<Vec<f32>, Box<dyn Error>> {
        predictor.node_encoder = Some(Arc::new(latency));
        let prediction = predictor.predict(&architecture, &Registry::standard(), |_| false)?;
        Ok(prediction.weights.values().copied().collect())
    };
    let (usual, slow) = (weights(Latency::times(1.0))?, weights(Latency::times(10.0))?);
    let size = |values: &[f32]| values.iter().map(|value| value * value).sum::<f32>().sqrt();
    let moved: Vec<f32> = usual.iter().zip(&slow).map(|(a, b)| a - b).collect();
    println!(
        "nodes ten times as slow move the {} predicted values by {:.3} % of their norm",
        usual.len(),
        100.0 * size(&moved) / size(&usual)
    );
    Ok(())
}

/// Writes the data set and a training configuration into a folder.
fn recipe(folder: &Path) -> Result<std::path::PathBuf, Box<dyn Error>> {
    let data = folder.join("stripes");
    fs::create_dir(&data)?;
    stripes::write(&data)?;
    let config = folder.join("train.toml");
    let text = format!(
        "name = \"latency\"\nspace = \"tiny\"\ndata = {data:?}\nout = {:?}\nmeta_batch = 8\n\
         batch = 32\ngraphs = 256\nvalidate_every = 1000000\naugmentation = \"none\"\n\
         [network]\ntrunk = 64\nhidden = 64\ncalibration = 16\n\
         [network.encoder]\nwidth = 32\nheads = 4\nlayers = 2\nfurther = [\"latency\"]\n\
         [optimiser]\nlearning_rate = 2e-3\nwarmup = 20\nema = 0.98\n\
         [[stages]]\nsteps = 1000000\nsize = 16\nstatistics = \"calibration\"\n",
        folder.join("run")
    );
    fs::write(&config, text)?;
    Ok(config)
}
