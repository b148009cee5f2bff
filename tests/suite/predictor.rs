//! The predictor network: padding, gradients, checkpoints.

use std::collections::HashSet;

use approx::{assert_abs_diff_eq, assert_relative_eq};
use burn::tensor::Device;
use weightsmith::{
    encoder::{EncoderConfig, NodeFeatures},
    graph::{Architecture, Weights},
    neural,
    onnx::Model,
    ops::{Registry, Vocabulary, resolve},
    patches::{PatchPlan, Sources},
    predictor::{
        Estimate, FORMAT_VERSION, InputConfig, Job, Network, NetworkConfig, Predictor,
        PredictorConfig, TrainingRecord,
    },
    spaces::{Family, Space},
};

pub fn config() -> PredictorConfig {
    let vocabulary = Vocabulary::of(&Registry::standard());
    PredictorConfig {
        base: None,
        format_version: FORMAT_VERSION,
        name: "test".to_owned(),
        vocabulary_hash: vocabulary.hash(),
        vocabulary: vocabulary.names().to_vec(),
        input: InputConfig { mean: vec![0.5; 3], std: vec![0.25; 3], size: 16 },
        classes: (0..10).map(|class| class.to_string()).collect(),
        network: NetworkConfig {
            encoder: EncoderConfig { width: 16, heads: 2, layers: 2, ..Default::default() },
            trunk: 24,
            hidden: 16,
            calibration: 2,
            labels: 0,
            sources: true,
            diffusion: None,
        },
        training: TrainingRecord::default(),
    }
}

fn empty(device: &Device) -> Network {
    let PredictorConfig { network, input, vocabulary, .. } = config();
    Network::new(&network, &input, vocabulary.len(), device)
}

fn graph(seed: u64) -> (NodeFeatures, PatchPlan) {
    let graph = Space::load("tiny").unwrap().sample(seed).unwrap();
    let model = Model::from_bytes(&graph.name, graph.onnx).unwrap();
    let mut architecture = Architecture::from_model(&model).unwrap();
    resolve(&mut architecture, &Registry::standard()).unwrap();
    let features = NodeFeatures::read(
        &architecture,
        &Registry::standard(),
        &Vocabulary::of(&Registry::standard()),
    );
    let sources = Sources::new(&architecture, &Registry::standard());
    let plan = PatchPlan::new(&architecture, &features.nodes, Some(&sources));
    (features, plan)
}

fn weights(values: &[f32], graphs: &[(NodeFeatures, PatchPlan)]) -> Vec<Weights> {
    let device = Device::flex();
    let network = neural::with_values(empty(&device), values, &device);
    let jobs: Vec<Job> = graphs.iter().map(|(features, plan)| Job::new(features, plan)).collect();
    Estimate::new(&network, &jobs, &device).weights()
}

#[test]
fn a_graph_gets_the_same_weights_alone_and_among_others() {
    let graphs: Vec<_> = (0..4).map(graph).collect();
    let values = neural::initialise(&neural::entries(&empty(&Device::flex())), 1);
    let together = weights(&values, &graphs);
    for (index, graph) in graphs.into_iter().enumerate() {
        let alone = weights(&values, &[graph]);
        for (a, b) in alone[0].values().zip(together[index].values()) {
            assert_abs_diff_eq!(a, b, epsilon = 1e-4);
        }
    }
}

#[test]
fn the_surrogate_differentiates_a_loss_of_the_weights() {
    let graphs = [graph(0), graph(1)];
    let plain = Device::flex();
    let entries = neural::entries(&empty(&plain));
    let values = neural::initialise(&entries, 1);
    let network = neural::tracked(&neural::with_values(empty(&plain), &values, &plain));
    let device = plain.autodiff();
    let jobs: Vec<Job> = graphs.iter().map(|(features, plan)| Job::new(features, plan)).collect();
    let estimate = Estimate::new(&network, &jobs, &device);
    let predicted = estimate.weights();
    // The gradient of Σ w² / 2 is w.
    let loss = |weights: &[Weights]| -> f64 {
        weights.iter().flat_map(Weights::values).map(|&w| 0.5 * f64::from(w) * f64::from(w)).sum()
    };
    let total = estimate.surrogate(&predicted, &predicted, &device).unwrap();
    let gradient = neural::gradients(&network, &total.backward());
    assert_eq!(gradient.len(), entries.len());
    let gradient: Vec<f32> = gradient
        .into_iter()
        .zip(&entries)
        .flat_map(|(gradient, entry)| match gradient.is_empty() {
            true => vec![0.0; entry.len()],
            false => gradient,
        })
        .collect();
    // Along the gradient itself the loss rises by its norm.
    let norm = gradient.iter().map(|g| f64::from(*g) * f64::from(*g)).sum::<f64>().sqrt();
    let moved = |step: f64| {
        let by = (step / norm) as f32;
        let values: Vec<f32> = values.iter().zip(&gradient).map(|(v, g)| v + by * g).collect();
        loss(&weights(&values, &graphs))
    };
    let step = 1e-2;
    assert_relative_eq!((moved(step) - moved(-step)) / (2.0 * step), norm, max_relative = 2e-2);
}

#[test]
fn a_checkpoint_loads_as_it_was_saved_and_refuses_what_does_not_fit() {
    let folder = tempfile::tempdir().unwrap();
    let device = Device::flex();
    let entries = neural::entries(&empty(&device));
    let values = neural::initialise(&entries, 3);
    Predictor::save(folder.path(), &config(), &entries, &values).unwrap();
    let loaded = Predictor::load(folder.path(), &device).unwrap();
    for (a, b) in neural::values(&loaded.network).iter().zip(&values) {
        assert_relative_eq!(*a, *b, epsilon = 1e-3, max_relative = 1e-3);
    }
    assert_eq!(loaded.hash, Predictor::load(folder.path(), &device).unwrap().hash);

    let refuses = |config: &PredictorConfig, word: &str| {
        Predictor::save(folder.path(), config, &entries, &values).unwrap();
        let error = Predictor::load(folder.path(), &device).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    };
    refuses(&PredictorConfig { format_version: 99, ..config() }, "format_version");
    refuses(&PredictorConfig { vocabulary_hash: "0".to_owned(), ..config() }, "vocabulary_hash");
    let mut wider = config();
    wider.network.trunk += 1;
    refuses(&wider, "shape");
}

#[test]
fn without_message_passing_and_positions_a_token_depends_on_its_own_node_only() {
    let device = Device::flex();
    let mut config = config();
    let json = serde_json::to_string(&config.network.encoder).unwrap();
    assert!(!json.contains("message_passing"), "{json}");
    assert!(serde_json::from_str::<EncoderConfig>(&json).unwrap().message_passing);
    let with = neural::entries(&empty(&device));
    config.network.encoder.message_passing = false;
    let network = Network::new(&config.network, &config.input, config.vocabulary.len(), &device);
    let without = neural::entries(&network);
    let blocks = |entry: &neural::Entry| entry.name.starts_with("encoder.blocks.");
    assert!(with.iter().any(blocks));
    assert_eq!(without, with.into_iter().filter(|entry| !blocks(entry)).collect::<Vec<_>>());
    let values = neural::initialise(&without, 0);
    let network = neural::with_values(network, &values, &device);
    config.network.encoder.positions = false;
    let blind = Network::new(&config.network, &config.input, config.vocabulary.len(), &device);
    let blind = neural::with_values(blind, &values, &device);
    let (whole, _) = graph(0);
    let first = NodeFeatures {
        nodes: whole.nodes[..1].to_vec(),
        operators: whole.operators[..1].to_vec(),
        numeric: whole.numeric[..weightsmith::encoder::NUMERIC].to_vec(),
        relations: whole.relations[..1].to_vec(),
        further: Vec::new(),
    };
    let mut deeper = first.clone();
    deeper.numeric[20] += 1.0;
    let token = |network: &Network, features: &NodeFeatures| -> Vec<f32> {
        let batch = weightsmith::encoder::NodeBatch::new(&[features], &device);
        let data = network.tokens(&batch, None).into_data();
        data.try_to_vec::<f32>().unwrap()[..config.network.encoder.width].to_vec()
    };
    assert_eq!(token(&network, &whole), token(&network, &first));
    assert_ne!(token(&network, &deeper), token(&network, &first));
    assert_eq!(token(&blind, &deeper), token(&blind, &first));
}

#[test]
fn channels_are_followed_to_their_makers() {
    let space = Space::load("corpus").unwrap();
    let mut moved = 0;
    for seed in 0..120 {
        let graph = space.sample(seed).unwrap();
        let style = graph.style;
        if !matches!(style.family, Family::Shuffle | Family::Dense | Family::Fire) {
            continue;
        }
        let model = Model::from_bytes(&graph.name, graph.onnx).unwrap();
        let mut architecture = Architecture::from_model(&model).unwrap();
        resolve(&mut architecture, &Registry::standard()).unwrap();
        let sources = Sources::new(&architecture, &Registry::standard());
        for node in architecture.dag.node_indices() {
            if architecture.dag[node].op_type != "Conv" {
                continue;
            }
            let read = sources.of_input(node).unwrap();
            for (position, source) in read.iter().enumerate() {
                let Some(maker) = source.node else { continue };
                assert_eq!(architecture.dag[maker].op_type, "Conv", "{}", graph.name);
                let shape = architecture.dag[maker].outputs[0].shape.as_ref().unwrap();
                assert!(source.channel < shape[1]);
                moved += usize::from(source.channel != position);
            }
        }
    }
    assert!(moved > 1000, "{moved}");
}

/// Only columns of a flattened image share their weights: those of one channel, of a grid of 2 × 2.
#[test]
fn columns_of_a_head_behind_a_pool_are_written_one_by_one() {
    let space = Space::load("corpus").unwrap();
    let mut maps = 0;
    for seed in 0..120 {
        let graph = space.sample(seed).unwrap();
        let model = Model::from_bytes(&graph.name, graph.onnx).unwrap();
        let mut architecture = Architecture::from_model(&model).unwrap();
        resolve(&mut architecture, &Registry::standard()).unwrap();
        let sources = Sources::new(&architecture, &Registry::standard());
        for node in architecture.dag.node_indices() {
            if !matches!(architecture.dag[node].op_type.as_str(), "Gemm" | "MatMul") {
                continue;
            }
            let Some(read) = sources.of_input(node) else { continue };
            let different: HashSet<_> = read.iter().collect();
            let each = read.len() / different.len();
            assert!([1, 4].contains(&each), "{each} of {} in {}", read.len(), graph.name);
            maps += 1;
        }
    }
    assert!(maps > 50, "{maps}");
}
