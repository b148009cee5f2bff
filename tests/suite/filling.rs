//! The library does what the binary does: filling, writing, verifying and filling again.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use approx::assert_relative_eq;
use burn::tensor::Device;
use safetensors::SafeTensors;
use weightsmith::{
    condition::Steering,
    evaluate::run_reference,
    fill::{
        Calibration, FillError, FillOptions, Network, RecordedReport, RegenerateOptions,
        SamplingOptions, Selection, SupportSet, WriteOptions, fill, regenerate, verify,
    },
    graph::DimBindings,
    observer::Observer,
    onnx::Model,
    predictor::{BUNDLED, Predictor, bundled},
};

use super::{
    cli::{json, weightsmith},
    digits::write_idx,
};

fn named(name: &str) -> String {
    format!("{}/architectures/named/{name}.onnx", env!("CARGO_MANIFEST_DIR"))
}

fn plain_cnn() -> String {
    named("plain-cnn")
}

fn predictor(name: &str) -> Predictor {
    bundled(name, &Device::flex()).unwrap()
}

#[test]
fn a_program_writes_what_the_binary_writes() {
    let folder = tempfile::tempdir().unwrap();
    let [by_program, by_binary] = ["program", "binary"].map(|name| folder.path().join(name));
    let network = Network::open(plain_cnn()).unwrap();
    let sampling = SamplingOptions { samples: Some(2), ..SamplingOptions::default() };
    let options = FillOptions { seed: 3, sampling, ensemble: true, ..FillOptions::default() };
    let filled = fill(&network, &predictor(BUNDLED[0]), &options).unwrap();
    let files = filled.write(&by_program).unwrap();
    assert_eq!((filled.networks().len(), files.len()), (2, 9));

    let out = by_binary.display().to_string();
    let predict = ["predict", &plain_cnn(), "--out", &out, "--device", "flex", "--json"];
    let further = ["--seed", "3", "--samples", "2", "--ensemble"];
    let output = weightsmith(&[&predict[..], &further].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let listed = json(&output)["files"].as_array().unwrap().len();
    assert_eq!(listed, files.len());
    for file in &files {
        let same = by_binary.join(file.file_name().unwrap());
        assert_eq!(fs::read(file).unwrap(), fs::read(same).unwrap(), "{}", file.display());
    }
    assert_eq!(fs::read(&files[0]).unwrap(), filled.onnx_bytes().unwrap());
}

#[test]
fn the_state_dict_is_that_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let network = Network::open(plain_cnn()).unwrap();
    let filled = fill(&network, &predictor("cifar10"), &FillOptions::default()).unwrap();
    filled.write(folder.path()).unwrap();
    let bytes = fs::read(folder.path().join("plain-cnn.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let entries = filled.state_dict();
    assert_eq!(entries.len(), file.len());
    for entry in &entries {
        let tensor = file.tensor(entry.name()).unwrap();
        assert_eq!((entry.dtype(), entry.shape()), (tensor.dtype(), tensor.shape()));
        assert_eq!(&entry.bytes().unwrap()[..], tensor.data());
    }
    let path = folder.path().join("plain-cnn.safetensors");
    let read = network.state_dict_weights(&path).unwrap();
    assert_eq!(&read, filled.networks()[0].weights());
    let written = Network::open(folder.path().join("plain-cnn.onnx")).unwrap();
    assert_eq!(written.stored_weights().unwrap(), read);
    let missing = network.stored_weights().unwrap_err();
    assert!(matches!(missing, FillError::NoValue { .. }), "{missing}");
}

#[test]
fn nothing_is_overwritten_by_accident_and_the_input_never() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("net.onnx");
    fs::copy(plain_cnn(), &copy).unwrap();
    let network = Network::open(&copy).unwrap();
    let filled = fill(&network, &predictor("cifar10"), &FillOptions::default()).unwrap();
    let out = folder.path().join("out");
    let overwrite = WriteOptions { overwrite: true };
    let files = filled.write(&out).unwrap();
    let refused = filled.write(&out).unwrap_err();
    assert!(matches!(&refused, FillError::Exists { path } if *path == files[0]), "{refused}");
    assert_eq!(filled.write_with(&out, &overwrite).unwrap(), files);
    let refused = filled.write_with(folder.path(), &overwrite).unwrap_err();
    assert!(matches!(refused, FillError::IsInput { .. }), "{refused}");
    assert_eq!(fs::read(&copy).unwrap(), fs::read(plain_cnn()).unwrap());
}

#[test]
fn a_network_from_memory_takes_the_name_it_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let model = Model::from_bytes("small", fs::read(plain_cnn()).unwrap().into()).unwrap();
    let network = Network::of(model, Default::default()).unwrap();
    let filled = fill(&network, &predictor("cifar10"), &FillOptions::default()).unwrap();
    let files = filled.write(folder.path()).unwrap();
    assert_eq!(files[0], folder.path().join("small.onnx"));
}

/// Counts steps.
#[derive(Debug, Default)]
struct Steps(AtomicU64);

impl Observer for Steps {
    fn advance(&self, steps: u64) {
        self.0.fetch_add(steps, Ordering::Relaxed);
    }
}

#[test]
fn a_network_that_normalises_its_images_itself_returns_the_same() {
    let network = Network::open(plain_cnn()).unwrap();
    let predictor = predictor(BUNDLED[0]);
    let filled = |bake_normalisation: bool| {
        let sampling = SamplingOptions { samples: Some(2), ..SamplingOptions::default() };
        let options = FillOptions { bake_normalisation, sampling, ..FillOptions::default() };
        fill(&network, &predictor, &options).unwrap()
    };
    let [plain, baked] = [false, true].map(filled);
    let read = |bytes: Vec<u8>| {
        let model = Model::from_bytes("filled.onnx", bytes.into()).unwrap();
        Network::of(model, DimBindings::default()).unwrap()
    };
    let input = &predictor.config.input;
    let pixels: Vec<f32> = (0..3 * 32 * 32).map(|at| (at * 37 % 101) as f32 / 100.0).collect();
    let planes = pixels.chunks_exact(32 * 32).zip(input.mean.iter().zip(&input.std));
    let normalised: Vec<f32> = planes
        .flat_map(|(plane, (mean, std))| plane.iter().map(move |pixel| (pixel - mean) / std))
        .collect();
    let logits = |network: &Network, image: &[f32]| {
        let weights = network.stored_weights().unwrap();
        let Network { architecture, registry, .. } = network;
        run_reference(architecture, registry, &weights, &[1, 3, 32, 32], image).unwrap()
    };
    let own = read(baked.onnx_bytes().unwrap());
    let expected = logits(&read(plain.onnx_bytes().unwrap()), &normalised);
    for (expected, logit) in expected.iter().zip(logits(&own, &pixels)) {
        assert_relative_eq!(*expected, logit, epsilon = 1e-4, max_relative = 1e-4);
    }
    let config = own.input_config(input);
    assert_eq!((config.mean, config.std), (vec![0.0; 3], vec![1.0; 3]));
    let mut ensemble = Vec::new();
    baked.write_ensemble(&mut ensemble).unwrap();
    assert!(logits(&read(ensemble), &pixels).iter().all(|logit| logit.is_finite()));

    let again = fill(&own, &predictor, &FillOptions::default());
    assert!(matches!(again, Err(FillError::IsBaked { .. })));
    let folder = tempfile::tempdir().unwrap();
    let files = baked.write(folder.path()).unwrap();
    let report = RecordedReport::open(&folder.path().join("report.json")).unwrap();
    let options = RegenerateOptions::default();
    let verified = regenerate(&files[0], &report, &network, &predictor, &options).unwrap();
    assert!(verified.holds());
}

#[test]
fn what_was_moved_towards_images_is_made_again_with_them() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    write_idx(&data);
    let network = Network::open(named("resnet-20")).unwrap();
    let predictor = predictor(BUNDLED[0]);
    let steps = Arc::new(Steps::default());
    let steering = Steering { steps: 2, batch: 20, ..Steering::default() };
    let options = FillOptions {
        sampling: SamplingOptions { samples: Some(2), ..SamplingOptions::default() },
        selection: Selection::Agreement,
        calibration: Calibration::Data(data.clone()),
        support: Some(SupportSet { data: data.clone(), steering }),
        observer: steps.clone(),
        ..FillOptions::default()
    };
    let filled = fill(&network, &predictor, &options).unwrap();
    assert_eq!(steps.0.load(Ordering::Relaxed), 4);
    assert_eq!(filled.networks().len(), 1);
    filled.write(folder.path().join("out")).unwrap();

    let file = folder.path().join("out/resnet-20.onnx");
    let report = RecordedReport::open(&folder.path().join("out/report.json")).unwrap();
    let verification = verify(&file, &report).unwrap();
    assert!(verification.holds(), "{verification:?}");
    let again =
        |options: &RegenerateOptions| regenerate(&file, &report, &network, &predictor, options);
    let whole = RegenerateOptions {
        calibration: Calibration::Data(data.clone()),
        support: Some(data.clone()),
        ..RegenerateOptions::default()
    };
    let verification = again(&whole).unwrap();
    assert!(verification.holds(), "{verification:?}");
    let without = RegenerateOptions { calibration: Calibration::Usual, ..whole.clone() };
    assert!(matches!(again(&without), Err(FillError::NeedsCalibrationData)));
    let without = RegenerateOptions { support: None, ..whole };
    assert!(matches!(again(&without), Err(FillError::NeedsSupportSet)));
}

#[test]
fn a_file_that_was_changed_differs_from_its_report() {
    let folder = tempfile::tempdir().unwrap();
    let network = Network::open(plain_cnn()).unwrap();
    let predictor = predictor("cifar10");
    let filled = fill(&network, &predictor, &FillOptions::default()).unwrap();
    let files = filled.write(folder.path()).unwrap();
    let report = RecordedReport::open(&files[2]).unwrap();
    let problems = |file: &Path| {
        let checks = verify(file, &report).unwrap().checks;
        checks.into_iter().filter(|check| !check.holds).map(|check| check.what).collect::<Vec<_>>()
    };
    assert!(problems(&files[0]).is_empty());
    let mut bytes = fs::read(&files[0]).unwrap();
    bytes.truncate(bytes.len() / 2);
    fs::write(&files[0], &bytes).unwrap();
    assert_eq!(problems(&files[0]), ["plain-cnn.onnx", "the network"]);
    let options = RegenerateOptions::default();
    let again = regenerate(&files[0], &report, &network, &predictor, &options).unwrap();
    assert!(!again.holds());
}
