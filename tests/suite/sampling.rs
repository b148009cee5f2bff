//! Drawing samples from a denoiser.

use std::path::Path;

use approx::{assert_abs_diff_eq, assert_relative_eq};
use burn::tensor::Device;
use weightsmith::{
    encoder::NodeFeatures,
    graph::{Architecture, DimBindings, Weights},
    neural,
    onnx::Model,
    ops::{Registry, Vocabulary, resolve},
    patches::{PatchPlan, Sources},
    predictor::{
        BUNDLED, Condition, DiffusionConfig, Estimate, Job, Network, Noisy, Predictor,
        PredictorConfig, Process, Sampling, Solver, bundled,
    },
    spaces::Space,
};

use super::cli::{json, weightsmith};

fn config(diffusion: Option<DiffusionConfig>) -> PredictorConfig {
    let mut config = super::predictor::config();
    config.input.size = 32;
    config.network.diffusion = diffusion;
    config
}

fn denoiser(process: Process) -> Option<DiffusionConfig> {
    Some(DiffusionConfig {
        latent: 3,
        patch: 8,
        process,
        spread: 0.1,
        mirror: true,
        steps: 2,
        anchored: false,
    })
}

fn empty(config: &PredictorConfig) -> Network {
    Network::new(&config.network, &config.input, config.vocabulary.len(), &Device::flex())
}

/// A predictor with random values everywhere, so that every condition shows.
fn save(folder: &Path, config: &PredictorConfig) -> Predictor {
    let entries = neural::entries(&empty(config));
    let mut values = neural::initialise(&entries, 1);
    let mut start = 0;
    for entry in &entries {
        if entry.name.starts_with("conditioner.adds_") {
            for (index, value) in values[start..start + entry.len()].iter_mut().enumerate() {
                *value = 0.2 * (index as f32).sin();
            }
        }
        start += entry.len();
    }
    Predictor::save(folder, config, &entries, &values).unwrap();
    Predictor::load(folder, &Device::flex()).unwrap()
}

fn architecture() -> Architecture {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("architectures/named/plain-cnn.onnx");
    let model = Model::open(&path).unwrap();
    let mut architecture = Architecture::from_model_with(&model, DimBindings::default()).unwrap();
    resolve(&mut architecture, &Registry::standard()).unwrap();
    architecture
}

fn draw(predictor: &Predictor, sampling: &Sampling) -> Vec<Vec<f32>> {
    let samples =
        predictor.sample(&architecture(), &Registry::standard(), |_| false, sampling).unwrap();
    samples.into_iter().map(|sample| sample.weights.values().copied().collect()).collect()
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn a_denoiser_that_starts_from_a_one_pass_predictor_says_the_same_at_full_noise() {
    let folder = tempfile::tempdir().unwrap();
    let one_pass = save(folder.path(), &config(None));
    let config = config(denoiser(Process::Cosine));
    let entries = neural::entries(&empty(&config));
    let values =
        one_pass.starting_values(&entries, 7, &one_pass.vocabulary, &Registry::standard()).unwrap();
    let network = neural::with_values(empty(&config), &values, &Device::flex());
    let architecture = architecture();
    let features = NodeFeatures::read(&architecture, &Registry::standard(), &one_pass.vocabulary);
    let sources = Sources::new(&architecture, &Registry::standard());
    let plan = PatchPlan::new(&architecture, &features.nodes, Some(&sources));
    let of = |network: &Network, condition: Condition| {
        let job = Job { condition: Some(&condition), ..Job::new(&features, &plan) };
        Estimate::new(network, &[job], &Device::flex())
            .weights()
            .remove(0)
            .values()
            .copied()
            .collect::<Vec<f32>>()
    };
    let before = of(&one_pass.network, Condition::full_noise(None, Vec::new()));
    let after = of(&network, Condition::full_noise(Some(1.0), Vec::new()));
    assert_abs_diff_eq!(distance(&before, &after), 0.0, epsilon = 1e-5);
    let sample = of(&network, Condition::full_noise(Some(1.0), vec![1.0, -0.5, 2.0]));
    assert!(distance(&before, &sample) > 1e-3);
}

#[test]
fn an_anchored_denoiser_has_the_one_pass_estimate_as_its_first_sample() {
    let folder = tempfile::tempdir().unwrap();
    let diffusion = denoiser(Process::Cosine).map(|it| DiffusionConfig { anchored: true, ..it });
    let predictor = save(folder.path(), &config(diffusion));
    let one_pass = config(None);
    let entries = neural::entries(&empty(&one_pass));
    let vocabulary = &predictor.vocabulary;
    let values = predictor.starting_values(&entries, 0, vocabulary, &Registry::standard()).unwrap();
    let own = tempfile::tempdir().unwrap();
    Predictor::save(own.path(), &one_pass, &entries, &values).unwrap();
    let one_pass = Predictor::load(own.path(), &Device::flex()).unwrap();
    let estimate = draw(&one_pass, &Sampling::default()).remove(0);
    let usual = Sampling { samples: 3, ..Sampling::default() };
    let samples = draw(&predictor, &usual);
    assert_eq!(samples[0], estimate);
    assert!(distance(&samples[2], &estimate) > 1e-3);
    let alike = draw(&predictor, &Sampling { temperature: 0.0, ..usual });
    assert_abs_diff_eq!(distance(&alike[2], &estimate), 0.0, epsilon = 1e-5);
    let worse = draw(&predictor, &Sampling { quality: Some(0.5), ..usual });
    assert!(distance(&worse[0], &estimate) > 1e-3);
}

#[test]
fn samples_are_the_same_for_the_same_seed_and_differ_from_each_other() {
    for process in [Process::Cosine, Process::Flow] {
        for solver in [Solver::Ddim, Solver::DpmPlusPlus] {
            let folder = tempfile::tempdir().unwrap();
            let predictor = save(folder.path(), &config(denoiser(process)));
            let sampling =
                Sampling { samples: 3, steps: 4, solver, guidance: 0.5, ..Sampling::default() };
            let samples = draw(&predictor, &sampling);
            assert_eq!(samples, draw(&predictor, &sampling));
            assert!(samples.iter().flatten().all(|weight| weight.is_finite()));
            assert!(distance(&samples[0], &samples[1]) > 1e-2);
            let second = draw(&predictor, &Sampling { samples: 1, first: 1, ..sampling });
            assert_abs_diff_eq!(distance(&second[0], &samples[1]), 0.0, epsilon = 1e-4);
            let other = draw(&predictor, &Sampling { seed: 1, ..sampling });
            assert!(distance(&samples[0], &other[0]) > 1e-2);
        }
    }
}

#[test]
fn conditions_show() {
    let folder = tempfile::tempdir().unwrap();
    let predictor = save(folder.path(), &config(denoiser(Process::Cosine)));
    let usual = Sampling { steps: 4, ..Sampling::default() };
    let first = draw(&predictor, &usual).remove(0);
    for other in [
        Sampling { quality: Some(0.2), ..usual },
        Sampling { quality: None, ..usual },
        Sampling { guidance: 1.0, ..usual },
        Sampling { temperature: 0.5, ..usual },
        Sampling { steps: 1, ..usual },
        Sampling { solver: Solver::DpmPlusPlus, ..usual },
    ] {
        assert!(distance(&first, &draw(&predictor, &other)[0]) > 1e-4, "{other:?}");
    }
}

#[test]
fn a_one_pass_predictor_has_one_sample() {
    let folder = tempfile::tempdir().unwrap();
    let predictor = save(folder.path(), &config(None));
    let architecture = architecture();
    for sampling in [
        Sampling { samples: 2, ..Sampling::default() },
        Sampling { steps: 2, ..Sampling::default() },
        Sampling { samples: 0, ..Sampling::default() },
        Sampling { temperature: f32::NAN, ..Sampling::default() },
    ] {
        assert!(
            predictor.sample(&architecture, &Registry::standard(), |_| false, &sampling).is_err()
        );
    }
}

#[test]
fn the_default_predictor_writes_one_pass_first_and_then_other_samples() {
    let predictor = bundled(BUNDLED[0], &Device::flex()).unwrap();
    let samples = draw(&predictor, &Sampling { samples: 3, ..predictor.sampling() });
    let one_pass = bundled("cifar10", &Device::flex()).unwrap();
    assert_eq!(samples[0], draw(&one_pass, &one_pass.sampling())[0]);
    assert_ne!(samples[0], samples[1]);
    assert_ne!(samples[0], samples[2]);
}

/// The whole way of a gradient: noisy patches are read, pooled at nodes, and shape what is written.
#[test]
fn the_conditioner_is_differentiated() {
    let config = config(denoiser(Process::Cosine));
    let plain = Device::flex();
    let entries = neural::entries(&empty(&config));
    let folder = tempfile::tempdir().unwrap();
    let values = neural::values(&save(folder.path(), &config).network);
    let graph = Space::load("tiny").unwrap().sample(0).unwrap();
    let model = Model::from_bytes(&graph.name, graph.onnx).unwrap();
    let mut architecture = Architecture::from_model(&model).unwrap();
    resolve(&mut architecture, &Registry::standard()).unwrap();
    let features = NodeFeatures::read(
        &architecture,
        &Registry::standard(),
        &Vocabulary::of(&Registry::standard()),
    );
    let plan = PatchPlan::new(&architecture, &features.nodes, None);
    let state = |phase: f32| -> Weights {
        let tensor = |&length: &usize| -> Vec<f32> {
            (0..length).map(|index| (index as f32 + phase).sin()).collect()
        };
        plan.lengths.iter().map(tensor).collect()
    };
    let noisy = Some(Noisy::new(&state(0.0), 0.7, state(1.0)));
    let condition =
        Condition { time: 0.4, quality: Some(0.5), latent: vec![0.3, -1.0, 0.2], noisy };
    let job = Job { condition: Some(&condition), ..Job::new(&features, &plan) };
    let network = neural::tracked(&neural::with_values(empty(&config), &values, &plain));
    let device = plain.clone().autodiff();
    let estimate = Estimate::new(&network, &[job], &device);
    let predicted = estimate.weights();
    let total = estimate.surrogate(&predicted, &predicted, &device).unwrap();
    let gradient = neural::gradients(&network, &total.backward());
    let mut direction = Vec::with_capacity(values.len());
    for (entry, gradient) in entries.iter().zip(gradient) {
        let own = entry.name.starts_with("conditioner.") && !gradient.is_empty();
        direction.extend(if own { gradient } else { vec![0.0; entry.len()] });
    }
    let norm = direction.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
    assert!(norm > 0.0);
    let loss = |step: f64| -> f64 {
        let by = (step / norm) as f32;
        let values: Vec<f32> = values.iter().zip(&direction).map(|(v, g)| v + by * g).collect();
        let network = neural::with_values(empty(&config), &values, &plain);
        let weights = Estimate::new(&network, &[job], &plain).weights();
        weights.iter().flat_map(Weights::values).map(|&w| 0.5 * f64::from(w).powi(2)).sum()
    };
    let step = 1e-2;
    assert_relative_eq!((loss(step) - loss(-step)) / (2.0 * step), norm, max_relative = 2e-2);
}

#[test]
fn predict_writes_samples_that_verify_and_one_that_averages_them() {
    let folder = tempfile::tempdir().unwrap();
    let predictor = folder.path().join("predictor");
    save(&predictor, &config(denoiser(Process::Cosine)));
    let model = format!("{}/architectures/named/plain-cnn.onnx", env!("CARGO_MANIFEST_DIR"));
    let run = |name: &str, further: &[&str]| {
        let out = folder.path().join(name).display().to_string();
        let predictor = predictor.display().to_string();
        let mut arguments = vec![
            "predict",
            &model,
            "--out",
            &out,
            "--predictor",
            &predictor,
            "--device",
            "flex",
            "--json",
            "--samples",
            "3",
        ];
        arguments.extend(further);
        let output = weightsmith(&arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        json(&output)
    };
    let result = run("samples", &["--ensemble"]);
    assert_eq!(result["files"].as_array().unwrap().len(), 12);
    assert_eq!(result["drawn"][2]["sample"], 2);
    let all = folder.path().join("samples");
    for name in ["plain-cnn", "plain-cnn.2"] {
        let file = all.join(format!("{name}.onnx")).display().to_string();
        let report = all.join(if name == "plain-cnn" { "report.json" } else { "report.2.json" });
        let (report, predictor) = (report.display().to_string(), predictor.display().to_string());
        let arguments = [
            "verify",
            &file,
            "--report",
            &report,
            "--regenerate",
            &model,
            "--predictor",
            &predictor,
            "--device",
            "flex",
        ];
        let output = weightsmith(&arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let read = |path: &str| std::fs::read(folder.path().join(path)).unwrap();
    assert!(
        read("samples/plain-cnn.ensemble.onnx").len()
            > 3 * read("samples/plain-cnn.onnx").len() / 2
    );
    let chosen = run("chosen", &["--select"]);
    let sample = chosen["drawn"][0]["sample"].as_u64().unwrap();
    let number = if sample == 0 { String::new() } else { format!(".{sample}") };
    assert_eq!(
        read("chosen/plain-cnn.safetensors"),
        read(&format!("samples/plain-cnn{number}.safetensors"))
    );
}
