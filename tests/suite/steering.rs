//! Moving predicted weights towards labelled images.

use std::path::Path;

use burn::tensor::Device;
use weightsmith::{
    data::{Dataset, Split},
    evaluate::judge,
    graph::{Architecture, DimBindings},
    onnx::Model,
    ops::{Registry, resolve},
    predictor::{BUNDLED, Prediction, Predictor, Steering, Support, bundled, calibrate},
};

use super::{
    cli::{json, weightsmith},
    digits::write_idx,
};

fn support(folder: &Path) -> Dataset {
    write_idx(folder);
    Dataset::open(folder, Split::Train).unwrap().with_channels(3).unwrap()
}

fn predicted(name: &str, predictor: &Predictor) -> (Architecture, Prediction) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("architectures/named");
    let model = Model::open(&folder.join(format!("{name}.onnx"))).unwrap();
    let mut architecture = Architecture::from_model_with(&model, DimBindings::default()).unwrap();
    resolve(&mut architecture, &Registry::standard()).unwrap();
    let prediction = predictor.predict(&architecture, &Registry::standard(), |_| true).unwrap();
    (architecture, prediction)
}

#[test]
fn steered_weights_fit_the_support_set_better() {
    let folder = tempfile::tempdir().unwrap();
    let data = support(folder.path());
    let predictor = bundled(BUNDLED[0], &Device::flex()).unwrap();
    let steering = Steering { steps: 12, batch: 150, ..Steering::default() };
    for name in ["plain-cnn", "resnet-20"] {
        let (architecture, start) = predicted(name, &predictor);
        let loss = |mut prediction: Prediction| {
            let images = predictor.calibration_images();
            calibrate(&architecture, &Registry::standard(), &mut prediction, &images).unwrap();
            let input = &predictor.config.input;
            judge(
                &architecture,
                &Registry::standard(),
                &prediction.weights,
                &data,
                input,
                data.len(),
            )
            .unwrap()
            .cross_entropy
        };
        let steer = |seed: u64, spread: f32| {
            let mut steered = [start.clone()];
            let support = Support::new(&data, Steering { spread, ..steering });
            predictor
                .steer(&architecture, &Registry::standard(), &mut steered, &support, [seed, 0])
                .unwrap();
            let [steered] = steered;
            steered
        };
        let steered = steer(1, 1.0);
        assert_eq!(steered.weights, steer(1, 1.0).weights);
        assert_ne!(steered.weights, steer(2, 1.0).weights);
        assert_ne!(steered.weights, steer(1, 2.0).weights);
        assert_eq!(steered.labels, start.labels);
        let (before, after) = (loss(start.clone()), loss(steered));
        assert!(after < 0.9 * before, "{name}: {before} to {after}");
    }
}

#[test]
fn steps_that_do_harm_are_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let data = support(folder.path());
    let predictor = bundled(BUNDLED[0], &Device::flex()).unwrap();
    let (architecture, start) = predicted("plain-cnn", &predictor);
    let steer = |rate: f32| {
        let mut steered = [start.clone()];
        let support = Support::new(&data, Steering { steps: 12, batch: 60, rate, spread: 1.0 });
        let kept = predictor
            .steer(&architecture, &Registry::standard(), &mut steered, &support, [1, 0])
            .unwrap();
        (kept, steered.map(|it| it.weights))
    };
    assert_eq!(steer(0.03).0, [12]);
    for harmful in [1e6, f32::NAN] {
        let (kept, [weights]) = steer(harmful);
        assert_eq!((kept, &weights), (vec![0], &start.weights));
    }
}

#[test]
fn a_support_set_of_other_classes_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut data = support(folder.path());
    data.classes.truncate(3);
    let predictor = bundled(BUNDLED[0], &Device::flex()).unwrap();
    let (architecture, prediction) = predicted("plain-cnn", &predictor);
    let support = Support::new(&data, Steering::default());
    let error =
        predictor.steer(&architecture, &Registry::standard(), &mut [prediction], &support, [0, 0]);
    assert!(error.unwrap_err().to_string().contains("10 outputs, the support set 3 classes"));
}

#[test]
fn steered_networks_say_so_and_verify() {
    let folder = tempfile::tempdir().unwrap();
    write_idx(folder.path());
    let model = format!("{}/architectures/named/plain-cnn.onnx", env!("CARGO_MANIFEST_DIR"));
    let [data, out] = [folder.path().to_owned(), folder.path().join("out")]
        .map(|path| path.display().to_string());
    let steered = ["--support", &data, "--support-steps", "2", "--support-spread", "1.5"];
    let other = ["--support-batch", "20", "--support-rate", "0.02", "--samples", "2", "--select"];
    let steered = [&steered[..], &other].concat();
    let predict = ["predict", &model, "--out", &out, "--device", "flex", "--json"];
    let output = weightsmith(&[&predict[..], &steered].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(json(&output)["parameters"]["skipped"], 0);
    assert_eq!(json(&output)["files"].as_array().unwrap().len(), 3);
    let report = std::fs::read_to_string(folder.path().join("out/report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let steering = &report["provenance"]["steered"]["steering"];
    assert_eq!((&steering["steps"], &steering["batch"]), (&2.into(), &20.into()));
    let file = format!("{out}/plain-cnn.onnx");
    let again = ["verify", &file, "--regenerate", &model, "--device", "flex"];
    let output = weightsmith(&[&again[..], &["--support", &data]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let output = weightsmith(&again);
    assert!(String::from_utf8_lossy(&output.stderr).contains("--support"));
    assert_eq!(output.status.code(), Some(2));
}
