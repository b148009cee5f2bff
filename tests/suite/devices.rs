//! The GPU path against the CPU path, on a software Vulkan driver where there is no GPU.

use approx::assert_abs_diff_eq;
use burn::tensor::Device;
use weightsmith::{
    device::{DeviceChoice, choose},
    encoder::{EncoderConfig, NodeFeatures},
    graph::{Architecture, Weights},
    neural,
    onnx::Model,
    ops::{Registry, Vocabulary, resolve},
    patches::{PatchPlan, Sources},
    predictor::{Estimate, InputConfig, Job, Network, NetworkConfig},
    spaces::Space,
};

#[test]
fn encoder_and_predictor_agree_on_wgpu_and_flex() {
    let wgpu = match choose(DeviceChoice::Wgpu) {
        Ok((device, name)) => {
            println!("comparing flex with {name}");
            device
        }
        Err(error) => {
            println!("skipped: {error}");
            return;
        }
    };
    let config = NetworkConfig {
        encoder: EncoderConfig { width: 32, heads: 4, layers: 2, ..Default::default() },
        trunk: 48,
        hidden: 32,
        calibration: 2,
        labels: 0,
        sources: true,
        diffusion: None,
    };
    let input = InputConfig { mean: vec![0.5], std: vec![0.25], size: 8 };
    let vocabulary = Vocabulary::of(&Registry::standard());
    let space = Space::load("tiny").unwrap();
    let graphs: Vec<(NodeFeatures, PatchPlan)> = (0..3)
        .map(|seed| {
            let graph = space.sample(seed).unwrap();
            let model = Model::from_bytes(&graph.name, graph.onnx).unwrap();
            let mut architecture = Architecture::from_model(&model).unwrap();
            resolve(&mut architecture, &Registry::standard()).unwrap();
            let features = NodeFeatures::read(&architecture, &Registry::standard(), &vocabulary);
            let sources = Sources::new(&architecture, &Registry::standard());
            let plan = PatchPlan::new(&architecture, &features.nodes, Some(&sources));
            (features, plan)
        })
        .collect();
    let jobs: Vec<Job> = graphs.iter().map(|(features, plan)| Job::new(features, plan)).collect();
    let [on_cpu, on_gpu] = [Device::flex(), wgpu].map(|device| {
        let empty = Network::new(&config, &input, vocabulary.len(), &device);
        let values = neural::initialise(&neural::entries(&empty), 7);
        let network = neural::with_values(empty, &values, &device);
        Estimate::new(&network, &jobs, &device).weights()
    });
    let mut compared = 0;
    for (cpu, gpu) in
        on_cpu.iter().flat_map(Weights::values).zip(on_gpu.iter().flat_map(Weights::values))
    {
        assert_abs_diff_eq!(cpu, gpu, epsilon = 1e-3);
        compared += 1;
    }
    assert!(compared > 1000);
}
